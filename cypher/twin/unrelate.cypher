// Ends a relationship; what it was stays, out of the way of traversals. $source, $name, $target
MATCH (a:Twin {dtId: $source})-[r]->(b:Twin {dtId: $target})
WHERE type(r) = $name
CREATE (a)-[:_PAST]->(l:_Link)-[:_PAST_TO]->(b)
SET l = properties(r), l._name = $name, l._until = datetime()
DELETE r
RETURN count(*) AS ended
