// Every twin with its model, as two columns.
MATCH (t:Twin)
WHERE t.dtId IS NOT NULL AND t._model IS NOT NULL
RETURN collect(t.dtId) AS dtIds, collect(t._model) AS models
