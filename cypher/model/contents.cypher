// Draws an interface's own contents. $rows: [{dtmi, contents: [{name, kind, properties}]}]
UNWIND $rows AS row
MATCH (i:_Interface {dtmi: row.dtmi})
UNWIND row.contents AS content
MERGE (i)-[:_HAS]->(c:_Content {name: content.name})
SET c += content.properties, c.kind = content.kind
