// Adds segments whose points are known to be new; they may change latest values, but not the last time of all. $rows: [{id, latest, segment}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.id})
SET t += row.latest, t._revision = coalesce(t._revision, 0) + 1
CREATE (t)-[:_HISTORY]->(s:_Segment:_Fresh)
SET s = row.segment, s._late = datetime.realtime().epochMillis
