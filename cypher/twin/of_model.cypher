// Twins of exactly one model in the order of their ids, with their components and what they are related to.
// $model, $after, $first
MATCH (t:Twin) WHERE t._model = $model AND t.dtId > $after
WITH t ORDER BY t.dtId LIMIT $first
RETURN t.dtId, properties(t), [(t)-[r]->(:Component) | type(r)], [(t)-[r]->(o:Twin) | [type(r), o._model]]
