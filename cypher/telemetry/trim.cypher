// Keeps the newest $keep dead letters.
MATCH (d:_DeadLetter)
WITH d ORDER BY d.at DESC SKIP $keep
WITH d LIMIT 10000
DELETE d
RETURN count(d) AS trimmed
