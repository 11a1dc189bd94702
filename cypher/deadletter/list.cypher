// Messages set aside, the newest first. $ids: these alone, $source and $code (null: any), $most
MATCH (d:_DeadLetter)
WHERE ($ids IS NULL OR d.id IN $ids) AND ($source IS NULL OR d.source = $source) AND ($code IS NULL OR d.code = $code)
RETURN d.id, d.at.epochMillis, d.source, d.topic, d.code, d.reason, d.payload, coalesce(d.size, size(d.payload))
ORDER BY d.at DESC LIMIT $most
