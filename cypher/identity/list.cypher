// Every API key, the newest last.
MATCH (k:_Key) RETURN properties(k) ORDER BY k.createdAt, k.id
