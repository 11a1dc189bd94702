// How far the parts of a source have been read. $source
MATCH (p:_Position {source: $source}) RETURN p.part, p.position
