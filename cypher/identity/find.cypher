// The API key of an id, or of a client certificate, that is valid now, and those of its roots that are still the twins of
// then. $id, $certificate
MATCH (k:_Key)
WHERE (k.id = $id OR k.certificate = $certificate)
  AND k.revokedAt IS NULL AND (k.expiresAt IS NULL OR k.expiresAt > datetime())
RETURN properties(k), [root IN coalesce(k.roots, []) WHERE EXISTS {
  MATCH (t:Twin {dtId: root})
  WHERE coalesce(t._since <= k.createdAt, true)
}]
