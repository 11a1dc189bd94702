// Gives twins another model and the components it adds. $dtIds, $model, $away and $labels: the labels of both,
// $components: [{name, labels, properties}]
UNWIND $dtIds AS dtId
MATCH (t:Twin {dtId: dtId})
REMOVE t:$($away)
SET t:$($labels), t._model = $model, t._etag = randomUUID()
WITH t
UNWIND $components AS component
MERGE (t)-[:$(component.name)]->(c:Component)
ON CREATE SET c += component.properties, c:$(component.labels)
