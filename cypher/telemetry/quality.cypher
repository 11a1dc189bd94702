// Keeps what is said of a signal's quality, and when that changed. $rows: [{dtId, id, key, said, set, event}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.dtId})
WHERE coalesce(t[row.key], 'Good') <> row.said
SET t += row.set
MERGE (e:_Event {id: row.id})
ON CREATE SET e += row.event, e.kind = 'quality', e.dtId = row.dtId, e._recorded = datetime()
MERGE (t)-[:_EVENT]->(e)
