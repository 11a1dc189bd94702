// Newest event times of some signals of a twin, and the database's clock. $dtId, $signals
OPTIONAL MATCH (t:Twin {dtId: $dtId})
RETURN [name IN $signals | toIntegerOrNull(t['_at_' + name])] AS newest, datetime.realtime().epochMillis AS now
