// Creates relationships once each by their id. $rows: [{source, name, target, id, properties}], $update: also those there,
// which leave behind what they were.
UNWIND $rows AS row
MATCH (a:Twin {dtId: row.source})
MATCH (b:Twin {dtId: row.target})
MERGE (a)-[r:$(row.name) {_id: row.id}]->(b)
ON CREATE SET r._since = datetime.realtime(), r._new = true, r += row.properties
ON MATCH SET r._lock = 1
WITH a, r, b, row, r._new IS NOT NULL AS new,
  any(key IN keys(row.properties) WHERE coalesce(r[key] <> row.properties[key], true)) AS other, datetime.realtime() AS now
REMOVE r._new, r._lock
WITH a, r, b, row, new, $update AND other AND NOT new AS changed,
  CASE WHEN r._since >= now THEN r._since + duration({nanoseconds: 1000}) ELSE now END AS moment
CALL (a, r, b, row, changed, moment) {
  WITH a, r, b, row, changed, moment WHERE changed
  CREATE (a)-[:_PAST]->(l:_Link)-[:_PAST_TO]->(b)
  SET l = properties(r), l._name = row.name, l._until = moment, r += row.properties, r._since = moment
}
RETURN sum(CASE WHEN new THEN 1 ELSE 0 END) AS made
