// How far the parts of a source have been read. $source
MATCH (p:_Position {source: $source})
WHERE p.part IS :: STRING NOT NULL AND p.position IS :: INTEGER NOT NULL | STRING NOT NULL
RETURN p.part, p.position
