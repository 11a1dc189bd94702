// The small segments of some twins, locked against late points meanwhile. $dtIds, $short: of the second tier, $most a twin,
// $settle [ms]: late ones stay as they are for so long
UNWIND $dtIds AS dtId
MATCH (t:Twin {dtId: dtId})
SET t._lock = 1
WITH t
CALL (t) {
  MATCH (t)-[:_HISTORY]->(s:_Fresh|_Short)
  WHERE $short = (s:_Short) AND coalesce(s._late < datetime().epochMillis - $settle, true)
  WITH s ORDER BY s._from LIMIT $most
  RETURN collect([elementId(s), properties(s)]) AS segments
}
RETURN collect([t.dtId, segments]) AS found
