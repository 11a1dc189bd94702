// Twins of exactly one model in the order of their ids. $model, $after, $first
MATCH (t:Twin) WHERE t._model = $model AND t.dtId > $after
RETURN t.dtId, properties(t) ORDER BY t.dtId LIMIT $first
