// Newest event times of some signals of a twin, that of all of them, and the database's clock. $dtId, $signals
OPTIONAL MATCH (t:Twin {dtId: $dtId})
RETURN [name IN $signals | toIntegerOrNull(t['_at_' + name])] AS newest, toIntegerOrNull(t._last) AS last,
  datetime.realtime().epochMillis AS now
