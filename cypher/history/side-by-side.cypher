// Several twins side by side, by ten minutes over the last six hours: a row an instant, a column a twin.
WITH ['wf01-t01', 'wf01-t02', 'wf01-t03'] AS names, datetime().epochMillis - 6 * 3600000 AS start
MATCH (t:Twin)-[:_HISTORY]->(s:_Segment)
WHERE t.dtId IN names AND s.power IS NOT NULL AND s._to >= start
WITH names, start, t, s, coalesce(s._dt_power, s._dt) AS offsets
UNWIND range(0, size(s.power) - 1) AS i
WITH names, start, t.dtId AS name, s._from + offsets[i] AS at, s.power[i] AS power
WHERE at >= start
WITH names, at / 600000 * 600000 AS bucket, name, avg(power) AS mean
WITH names, bucket, collect([name, mean]) AS found
RETURN toString(datetime({epochMillis: bucket})) AS time,
  [name IN names | head([pair IN found WHERE pair[0] = name | pair[1]])] AS power
ORDER BY bucket
