// Creates the twins and components that are missing, leaves the others alone. $rows as for create
UNWIND $rows AS row
MERGE (t:Twin {dtId: row.dtId})
ON CREATE SET t += row.properties, t:$(row.labels), t._since = datetime()
WITH t, row
UNWIND row.components AS component
MERGE (t)-[:$(component.name)]->(c:Component)
ON CREATE SET c += component.properties, c:$(component.labels)
