// Deletes a twin that nothing is related to, with its history, events and components. $dtId
MATCH (t:Twin {dtId: $dtId})
OPTIONAL MATCH (t)-[r]-(other:Twin)
WITH t, count(r) AS related
CALL (t, related) {
  WITH t, related WHERE related = 0
  OPTIONAL MATCH (t)-[r]->(owned) WHERE type(r) IN ['_HISTORY', '_EVENT'] OR owned:Component
  DETACH DELETE owned, t
}
RETURN related
