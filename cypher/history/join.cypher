// Puts longer segments in the place of small ones; whoever reads meanwhile sees by `_joined` to read again. $rows: [{dtId, segments: [{properties, short}], gone}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.dtId})
SET t._joined = coalesce(t._joined, 0) + 1
WITH t, row
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
