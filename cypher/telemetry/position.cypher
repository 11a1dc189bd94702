// How far parts of sources have been read; a position never goes back. $rows: [{id, source, part, position}]
UNWIND $rows AS row
MERGE (p:_Position {id: row.id})
ON CREATE SET p += row
ON MATCH SET p.position = CASE WHEN row.position > p.position THEN row.position ELSE p.position END
SET p.at = datetime()
