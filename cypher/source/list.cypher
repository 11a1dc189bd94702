// Sources by process; $stale [s]: one that has not reported for so long is gone, or has by a clock that was ahead.
MATCH (s:_Source)
WHERE s.at > datetime() - duration({days: 1})
RETURN properties(s), s.at < datetime() - duration({seconds: $stale}) OR s.at > datetime() + duration({seconds: $stale}) AS gone
ORDER BY s.source, s.worker
