// An API key that is valid now. $id
MATCH (k:_Key {id: $id})
WHERE k.revokedAt IS NULL AND coalesce(k.expiresAt > datetime(), true)
RETURN properties(k)
