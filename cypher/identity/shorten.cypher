// An API key ends by a moment, unless it ends before. $id, $until
MATCH (k:_Key {id: $id})
SET k.expiresAt = CASE WHEN k.expiresAt < $until THEN k.expiresAt ELSE $until END
