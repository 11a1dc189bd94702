// Keeps what is said of a signal's quality, and when that changed; what is older than what is known changes nothing, unless that lies beyond $limit.
// $rows, in order of time: [{dtId, id, key, atKey, at, said, set, event}]
UNWIND $rows AS row
CALL (row) {
  MATCH (t:Twin {dtId: row.dtId})
  WHERE coalesce(t[row.key], 'Good') <> row.said AND (coalesce(t[row.atKey], row.at) <= row.at OR t[row.atKey] > $limit)
  SET t += row.set, t._revision = coalesce(t._revision, 0) + 1
  MERGE (e:_Event {id: row.id})
  ON CREATE SET e += row.event, e.kind = 'quality', e.dtId = row.dtId, e._recorded = datetime.realtime()
  MERGE (t)-[:_EVENT]->(e)
}
