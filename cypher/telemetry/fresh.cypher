// Segments of a twin that reach behind a moment, or came late, behind newer points, since another; and the database's clock.
// $dtId, $after: event time [epoch ms], $late: of the commit [epoch ms]
OPTIONAL MATCH (:Twin {dtId: $dtId})-[:_HISTORY]->(s:_Segment)
WHERE s._to > $after OR s._late > $late
WITH collect(CASE WHEN s IS NOT NULL THEN [elementId(s), s._late, properties(s)] END) AS segments
RETURN segments, datetime.realtime().epochMillis AS now
