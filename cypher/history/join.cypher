// Puts longer segments in the place of small ones. $rows: [{dtId, segments: [{properties, short}], gone}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.dtId})
CALL (t, row) {
  UNWIND row.segments AS segment
  CREATE (t)-[:_HISTORY]->(s:_Segment)
  SET s = segment.properties
  FOREACH (_ IN CASE WHEN segment.short THEN [1] ELSE [] END | SET s:_Short)
}
CALL (t, row) {
  UNWIND row.gone AS id
  MATCH (t)-[:_HISTORY]->(s:_Fresh|_Short) WHERE elementId(s) = id
  DETACH DELETE s
}
