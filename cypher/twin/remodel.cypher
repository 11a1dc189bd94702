// Gives twins another model and the components it adds, where they are as they were read. $twins: [{dtId, etag}], $before and
// $model, $away and $labels: the labels of both, $components: [{name, labels, properties}]
UNWIND $twins AS twin
MATCH (t:Twin {dtId: twin.dtId})
SET t._lock = 1
WITH t, twin WHERE t._model = $before AND coalesce(t._etag = twin.etag, twin.etag IS NULL)
REMOVE t:$($away)
SET t:$($labels), t._model = $model, t._etag = randomUUID()
WITH t
CALL (t) {
  UNWIND $components AS component
  MERGE (t)-[:$(component.name)]->(c:Component)
  ON CREATE SET c += component.properties, c:$(component.labels)
}
RETURN collect(t.dtId) AS moved
