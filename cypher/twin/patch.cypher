// Sets properties under an etag, and keeps what they were before. $dtId, $etag (null: any), $label (null: any), $next,
// $properties. The moment is taken once the twin is locked, and lies behind that of the change before: the past is in order.
MATCH (t:Twin {dtId: $dtId})
SET t._lock = 1
WITH t, t._etag AS found
CALL (t, found) {
  WITH t, found WHERE ($etag IS NULL OR found = $etag) AND ($label IS NULL OR $label IN labels(t))
  WITH t, [key IN keys($properties) WHERE NOT coalesce(t[key] = $properties[key], t[key] IS NULL AND $properties[key] IS NULL)]
    AS others, datetime.realtime() AS now
  CALL (t, others, now) {
    WITH t, others, now WHERE size(others) > 0
    WITH t, others, CASE WHEN t._changed >= now THEN t._changed + duration({nanoseconds: 1000}) ELSE now END AS moment
    CREATE (t)-[:_PAST]->(v:_Version {_keys: others, _until: moment})
    FOREACH (key IN others | SET v[key] = t[key])
    SET t._changed = moment
  }
  SET t += $properties, t._etag = $next
  RETURN count(*) AS changed
}
RETURN found, changed, t._model
