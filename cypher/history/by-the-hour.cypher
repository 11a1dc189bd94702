// A signal by the hour over the last month, from the roll-ups where a segment has them, else from its points.
// A roll-up's row is [at, n, sum, min, max, first, last].
MATCH (t:Twin {dtId: 'wf01-t01'})-[:_HISTORY]->(s:_Segment)
WHERE (s.power IS NOT NULL OR s._1h_power IS NOT NULL) AND s._to >= datetime().epochMillis - 30 * 86400000
CALL (s) {
  WITH s WHERE s._1h_power IS NOT NULL
  UNWIND range(0, size(s._1h_power) - 1, 7) AS i
  RETURN toInteger(s._1h_power[i]) AS hour, s._1h_power[i + 1] AS n, s._1h_power[i + 2] AS total,
    s._1h_power[i + 3] AS least, s._1h_power[i + 4] AS most
  UNION ALL
  WITH s WHERE s._1h_power IS NULL
  WITH s, coalesce(s._dt_power, s._dt) AS offsets
  UNWIND range(0, size(s.power) - 1) AS i
  WITH (s._from + offsets[i]) / 3600000 * 3600000 AS hour, s.power[i] AS power
  RETURN hour, 1.0 AS n, power AS total, power AS least, power AS most
}
WITH hour, sum(n) AS points, sum(total) AS total, min(least) AS least, max(most) AS most
RETURN toString(datetime({epochMillis: hour})) AS hour, toInteger(points) AS points, total / points AS mean, least, most
ORDER BY hour
