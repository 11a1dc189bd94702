// The segments of some twins that reach into [$from, $to). $dtIds
UNWIND $dtIds AS dtId
MATCH (t:Twin {dtId: dtId})-[:_HISTORY]->(s:_Segment)
WHERE s._to >= $from AND s._from < $to
WITH dtId, s ORDER BY s._from
WITH dtId, collect(properties(s)) AS segments
RETURN collect([dtId, segments]) AS found
