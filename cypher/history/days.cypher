// The days [days since 1970] of which there is history of a model's twins. $model, $from, $to [epoch ms]; to itself is not in.
MATCH (:Twin {_model: $model})-[:_HISTORY]->(s:_Segment)
WHERE s._from IS :: INTEGER NOT NULL AND s._to IS :: INTEGER NOT NULL AND s._to >= $from AND s._from < $to
WITH CASE WHEN s._from > $from THEN s._from ELSE $from END AS first, CASE WHEN s._to < $to THEN s._to ELSE $to - 1 END AS last
WITH DISTINCT first / 86400000 AS first, last / 86400000 AS last
UNWIND range(first, last) AS day
RETURN DISTINCT day ORDER BY day
