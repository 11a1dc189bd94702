// Ends a relationship. $source, $name, $target
MATCH (:Twin {dtId: $source})-[r]->(:Twin {dtId: $target})
WHERE type(r) = $name
DELETE r
RETURN count(*) AS ended
