// Segments of a twin that reach behind a moment, or came late, behind newer points, since another; the newest event time of all
// and the database's clock. $dtId, $after: event time [epoch ms], $late: of the commit [epoch ms]
OPTIONAL MATCH (t:Twin {dtId: $dtId})
WITH t, toIntegerOrNull(t._last) AS last
OPTIONAL MATCH (t)-[:_HISTORY]->(s:_Segment)
WHERE s._to > $after OR s._late > $late
WITH last, collect(CASE WHEN s IS NOT NULL THEN [elementId(s), s._late, properties(s)] END) AS segments
RETURN segments, last, datetime.realtime().epochMillis AS now
