// How far a job is. $id, $done
MATCH (j:_Job {id: $id})
SET j.done = $done, j.toldAt = datetime()
