// Where a source is to go on. $source
OPTIONAL MATCH (s:_Source {name: $source}) RETURN s.position
