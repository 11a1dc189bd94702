// Every twin with its model, as two columns.
MATCH (t:Twin) RETURN collect(t.dtId) AS dtIds, collect(t._model) AS models
