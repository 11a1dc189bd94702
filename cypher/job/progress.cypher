// How far a job is. $id, $properties: {done, twins, relationships}; empty: it is alive
MATCH (j:_Job {id: $id})
SET j += $properties, j.toldAt = datetime()
