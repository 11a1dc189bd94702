// Gives twins another model. $dtIds, $model, $away and $labels: the labels of both
UNWIND $dtIds AS dtId
MATCH (t:Twin {dtId: dtId})
REMOVE t:$($away)
SET t:$($labels), t._model = $model, t._etag = randomUUID()
