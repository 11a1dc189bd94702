// Every twin with its model, as two columns.
MATCH (t:Twin)
WHERE t.dtId IS :: STRING NOT NULL AND t._model IS :: STRING NOT NULL
RETURN collect(t.dtId) AS dtIds, collect(t._model) AS models
