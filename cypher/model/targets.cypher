// Draws where relationships and components point. $rows: [{dtmi, contents: [{name, target}]}]
UNWIND $rows AS row
MATCH (i:_Interface {dtmi: row.dtmi})
UNWIND [content IN row.contents WHERE content.target IS NOT NULL] AS content
MATCH (i)-[:_HAS]->(c:_Content {name: content.name})
MATCH (target:_Interface {dtmi: content.target})
MERGE (c)-[:_TARGET]->(target)
