// Rejected messages, the newest first. $ids: these alone, $source and $code (null: any), $most
MATCH (d:_DeadLetter)
WITH d, coalesce(d.id, elementId(d)) AS id
WHERE ($ids IS NULL OR id IN $ids) AND ($source IS NULL OR d.source = $source) AND ($code IS NULL OR d.code = $code)
RETURN id, coalesce(d.received, d.at.epochMillis), d.source, d.topic, d.code, coalesce(d.reason, ''), d.payload,
  coalesce(d.size, size(d.payload)), d.time
ORDER BY d.at DESC LIMIT $most
