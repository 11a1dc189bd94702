// A new API key. $properties: {id, name, role, hash, roots, via, expiresAt}
CREATE (k:_Key)
SET k = $properties, k.createdAt = datetime()
RETURN k.id
