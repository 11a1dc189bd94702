// Gives a message set aside another payload. $id, $payload, $size
MATCH (d:_DeadLetter {id: $id})
SET d.payload = $payload, d.size = $size, d.fixed = datetime()
RETURN d.id
