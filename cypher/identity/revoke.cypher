// Ends an API key. $id
MATCH (k:_Key {id: $id})
SET k.revokedAt = coalesce(k.revokedAt, datetime())
RETURN k.id
