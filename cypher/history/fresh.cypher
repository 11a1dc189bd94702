// Twins with many small segments, those with the most first. $least, $twins
MATCH (t:Twin)
WITH t, COUNT { (t)-[:_HISTORY]->(:_Fresh) } AS fresh
WHERE fresh >= $least
RETURN t.dtId ORDER BY fresh DESC LIMIT $twins
