// The twins of exactly one model that have a history, and from when to when it goes. $model
MATCH (t:Twin {_model: $model})-[:_HISTORY]->(s:_Segment)
WHERE s._from IS :: INTEGER NOT NULL AND s._to IS :: INTEGER NOT NULL
WITH t.dtId AS dtId, min(s._from) AS first, max(s._to) AS last ORDER BY dtId
RETURN collect(dtId) AS dtIds, min(first) AS first, max(last) AS last
