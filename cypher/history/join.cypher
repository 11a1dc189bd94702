// Puts long segments in the place of small ones. $rows: [{dtId, segments, gone}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.dtId})
CALL (t, row) {
  UNWIND row.segments AS properties
  CREATE (t)-[:_HISTORY]->(s:_Segment)
  SET s = properties
}
CALL (t, row) {
  UNWIND row.gone AS id
  MATCH (t)-[:_HISTORY]->(s:_Fresh) WHERE elementId(s) = id
  DETACH DELETE s
}
