// An API key was used. $id
MATCH (k:_Key {id: $id})
SET k.usedAt = datetime()
