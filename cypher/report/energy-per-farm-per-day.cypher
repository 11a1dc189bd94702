// Energy of each farm and UTC day [MWh], from the farm's power signal by the trapezoid between its points.
// Gaps longer than an hour are not bridged.
MATCH (farm:WindFarm)-[:_HISTORY]->(s:_Segment)
WHERE s.power IS NOT NULL
WITH farm, s, coalesce(s._dt_power, s._dt) AS offsets
UNWIND range(0, size(s.power) - 1) AS i
WITH farm, s._from + offsets[i] AS at, s.power[i] AS power ORDER BY farm.dtId, at
WITH farm, collect(DISTINCT [at, power]) AS points
UNWIND range(0, size(points) - 2) AS i
WITH farm, points[i] AS a, points[i + 1] AS b
WHERE 0 < b[0] - a[0] <= 3600000
RETURN farm.name AS farm, toString(date(datetime({epochMillis: a[0]}))) AS day,
  sum((a[1] + b[1]) / 2 * (b[0] - a[0]) / 3600000.0) / 1000 AS megawattHours
ORDER BY farm, day
