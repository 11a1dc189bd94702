// How far a source has been read. $source, $position
MERGE (s:_Source {name: $source})
SET s.position = $position, s.at = datetime()
