// Gives a rejected message another payload. $id, $payload, $size
MATCH (d:_DeadLetter) WHERE coalesce(d.id, elementId(d)) = $id
SET d.payload = $payload, d.size = $size, d.fixed = datetime()
RETURN d.source
