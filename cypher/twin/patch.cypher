// Sets properties under an etag. $dtId, $etag (null: any), $next, $properties
MATCH (t:Twin {dtId: $dtId})
SET t._lock = 1
WITH t, t._etag AS found
CALL (t, found) {
  WITH t, found WHERE $etag IS NULL OR found = $etag
  SET t += $properties, t._etag = $next
  RETURN count(*) AS changed
}
RETURN found, changed
