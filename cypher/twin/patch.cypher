// Sets properties under an etag, and keeps what they were before. $dtId, $etag (null: any), $label (null: any), $next,
// $properties
MATCH (t:Twin {dtId: $dtId})
SET t._lock = 1
WITH t, t._etag AS found
CALL (t, found) {
  WITH t, found WHERE ($etag IS NULL OR found = $etag) AND ($label IS NULL OR $label IN labels(t))
  WITH t, [key IN keys($properties) WHERE NOT coalesce(t[key] = $properties[key], t[key] IS NULL AND $properties[key] IS NULL)]
    AS others
  CALL (t, others) {
    WITH t, others WHERE size(others) > 0
    CREATE (t)-[:_PAST]->(v:_Version {_keys: others, _until: datetime()})
    FOREACH (key IN others | SET v[key] = t[key])
  }
  SET t += $properties, t._etag = $next
  RETURN count(*) AS changed
}
RETURN found, changed, t._model
