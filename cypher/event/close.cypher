// Ends open alarms. $rows: [{dtId, code, at}]
UNWIND $rows AS row
MATCH (:Twin {dtId: row.dtId})-[:_EVENT]->(e:_Event {kind: 'alarm', code: row.code})
WHERE e.endedAt IS NULL AND e.at <= row.at
SET e.endedAt = row.at, e._recorded = datetime.realtime()
