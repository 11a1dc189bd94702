// Creates relationships once each. $rows: [{source, name, target, id, properties}]
UNWIND $rows AS row
MATCH (a:Twin {dtId: row.source})
MATCH (b:Twin {dtId: row.target})
MERGE (a)-[r:$(row.name)]->(b)
ON CREATE SET r._id = row.id, r._since = datetime()
SET r += row.properties
RETURN count(r) AS made
