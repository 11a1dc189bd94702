// Records events once each. $rows: [{dtId, id, kind, properties}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.dtId})
MERGE (e:_Event {id: row.id})
ON CREATE SET e += row.properties, e.kind = row.kind, e.dtId = row.dtId, e._recorded = datetime.realtime()
MERGE (t)-[:_EVENT]->(e)
