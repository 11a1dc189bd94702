// A new job. $id, $kind, $total
CREATE (j:_Job {id: $id, kind: $kind, status: 'RUNNING', done: 0, total: $total, twins: 0, relationships: 0})
SET j.startedAt = datetime(), j.toldAt = datetime()
