// A signal over the last day, each point with its time. Change the twin, the signal and the span.
MATCH (t:Twin {dtId: 'wf01-t01'})-[:_HISTORY]->(s:_Segment)
WHERE s.power IS NOT NULL AND s._to >= datetime().epochMillis - 86400000
WITH s, coalesce(s._dt_power, s._dt) AS offsets
UNWIND range(0, size(s.power) - 1) AS i
WITH s._from + offsets[i] AS at, s.power[i] AS power
WHERE at >= datetime().epochMillis - 86400000
RETURN toString(datetime({epochMillis: at})) AS time, power ORDER BY at
