// The model of one twin. $dtId
MATCH (t:Twin {dtId: $dtId}) RETURN t._model
