// The end of a job. $id, $done (null: as told last), $properties: {status, reason, twins, relationships}
MATCH (j:_Job {id: $id})
SET j += $properties, j.done = coalesce($done, j.done), j.endedAt = datetime()
