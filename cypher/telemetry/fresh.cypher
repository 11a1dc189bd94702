// Segments of a twin that reach behind a moment. $dtId, $after [epoch ms]
MATCH (:Twin {dtId: $dtId})-[:_HISTORY]->(s:_Segment)
WHERE s._to > $after
RETURN properties(s)
