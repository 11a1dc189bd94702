// Deletes a twin that nothing is related to, with its history and events. $dtId
MATCH (t:Twin {dtId: $dtId})
OPTIONAL MATCH (t)-[r]-(other:Twin)
WITH t, count(r) AS related
CALL (t, related) {
  WITH t, related WHERE related = 0
  OPTIONAL MATCH (t)-[:_HISTORY|_EVENT]->(owned)
  DETACH DELETE owned, t
}
RETURN related
