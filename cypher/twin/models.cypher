// The models of twins. $dtIds
MATCH (t:Twin) WHERE t.dtId IN $dtIds RETURN t.dtId, t._model
