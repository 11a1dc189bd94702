// Appends one segment a twin where every point is newer than the twin's last, and than what a clock that was ahead has left; the others are answered by no index.
// $rows: [{i, id, from, latest, segment}]. SET takes the node's lock before its last time is read.
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.id})
SET t._lock = 1
WITH t, row
WHERE coalesce(t._last, -9223372036854775807) < row.from AND coalesce(t._ahead, -9223372036854775807) < row.from
SET t += row.latest
CREATE (t)-[:_HISTORY]->(s:_Segment:_Fresh)
SET s = row.segment
RETURN collect(row.i) AS taken
