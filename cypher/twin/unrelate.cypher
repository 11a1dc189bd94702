// Ends a relationship; what it was stays, out of the way of traversals. $source, $name, $target
MATCH (a:Twin {dtId: $source})-[r]->(b:Twin {dtId: $target})
WHERE type(r) = $name
SET r._lock = 1
WITH a, r, b, datetime.realtime() AS now
WITH a, r, b, CASE WHEN r._since >= now THEN r._since + duration({nanoseconds: 1000}) ELSE now END AS moment
CREATE (a)-[:_PAST]->(l:_Link)-[:_PAST_TO]->(b)
SET l = properties(r), l._name = $name, l._until = moment
REMOVE l._lock
DELETE r
RETURN count(*) AS ended
