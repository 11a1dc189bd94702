// Deletes a twin with its history, past, events and components; one that others are related to only with $relationships.
// $dtId, $relationships
MATCH (t:Twin {dtId: $dtId})
OPTIONAL MATCH (t)-[r]-(other:Twin)
WITH t, CASE WHEN $relationships THEN 0 ELSE count(r) END AS related
CALL (t, related) {
  WITH t, related WHERE related = 0
  OPTIONAL MATCH (t)-[r]-(owned)
  WHERE type(r) IN ['_HISTORY', '_EVENT', '_PAST', '_PAST_TO'] OR (owned:Component AND startNode(r) = t)
  DETACH DELETE owned, t
}
RETURN related
