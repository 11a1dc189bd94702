// Creates relationships once each by their id. $rows: [{source, name, target, id, properties}], $update: also those there
UNWIND $rows AS row
MATCH (a:Twin {dtId: row.source})
MATCH (b:Twin {dtId: row.target})
MERGE (a)-[r:$(row.name) {_id: row.id}]->(b)
ON CREATE SET r._since = datetime(), r._new = true, r += row.properties
WITH r, row, r._new IS NOT NULL AS new
SET r += CASE WHEN $update THEN row.properties ELSE {} END
REMOVE r._new
RETURN sum(CASE WHEN new THEN 1 ELSE 0 END) AS made
