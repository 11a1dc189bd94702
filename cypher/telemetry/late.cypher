// What the graph holds where late points fall. $rows: [{i, id, from, to}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.id})
SET t._lock = 1
WITH t, row
CALL (t, row) {
  MATCH (t)-[:_HISTORY]->(s:_Segment)
  WHERE s._to >= row.from AND s._from <= row.to
  RETURN collect(properties(s)) AS segments
}
RETURN collect([row.i, t._last, t._ahead, t._stale, [key IN keys(t) WHERE key STARTS WITH '_at_' | [key, t[key]]], segments]) AS found
