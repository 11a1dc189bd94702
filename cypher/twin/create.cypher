// Creates twins with their components. $rows: [{dtId, labels, properties, components: [{name, labels, properties}]}]; a taken
// dtId fails the whole.
UNWIND $rows AS row
CREATE (t:Twin {dtId: row.dtId})
SET t += row.properties, t:$(row.labels), t._since = datetime()
WITH t, row
UNWIND row.components AS component
CREATE (t)-[:$(component.name)]->(c:Component)
SET c += component.properties, c:$(component.labels)
