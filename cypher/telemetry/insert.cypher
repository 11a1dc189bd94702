// Adds segments whose points are known to be new. $rows: [{id, latest, segment}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.id})
SET t += row.latest
CREATE (t)-[:_HISTORY]->(s:_Segment:_Fresh)
SET s = row.segment
