// The state of a job; one that has not told for a minute has lost its process. $id
MATCH (j:_Job {id: $id})
WITH j, j.status = 'RUNNING' AND
  (j.toldAt < datetime() - duration('PT1M') OR j.toldAt > datetime() + duration('PT1M')) AS lost
RETURN j.id, j.kind, CASE WHEN lost THEN 'FAILED' ELSE j.status END, j.done, j.total, j.twins, j.relationships,
  CASE WHEN lost THEN 'its process has ended' ELSE j.reason END, j.startedAt, j.endedAt
