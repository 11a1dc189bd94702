// Favourites for Neo4j Browser: drag this file onto Browser's favourites, or paste a statement.
// Made of cypher/report and cypher/history; tests/docs keeps it so.

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
ORDER BY farm, day;

// Mean time between failures per kind of component [days]: time observed of all of a kind, divided by its failures.
MATCH (part:TurbineComponent)
CALL (part) {
  OPTIONAL MATCH (part)-[:_HISTORY]->(s:_Segment)
  RETURN (max(s._to) - min(s._from)) / 86400000.0 AS days
}
WITH part, coalesce(days, 0.0) AS days, COUNT { (part)-[:_EVENT]->(:_Event {kind: 'failure'}) } AS failures
MATCH (model:_Interface {dtmi: part._model})
WITH model.label AS kind, count(part) AS components, sum(days) AS observed, sum(failures) AS failures
RETURN kind, components, failures, observed AS componentDays,
  CASE failures WHEN 0 THEN null ELSE observed / failures END AS mtbfDays
ORDER BY kind;

// Alarms that have not ended, the newest first.
MATCH (part:Twin)-[:_EVENT]->(alarm:_Event {kind: 'alarm'})
WHERE alarm.endedAt IS NULL
OPTIONAL MATCH (turbine:Turbine)-[:hasComponent]->(part)
RETURN alarm.at AS since, alarm.severity AS severity, turbine.name AS turbine, part.name AS component,
  alarm.code AS code, alarm.message AS message, part.healthScore AS health
ORDER BY since DESC
LIMIT 200;

// The three weakest components of each farm.
MATCH (farm:WindFarm)-[:contains]->(turbine:Turbine)-[:hasComponent]->(part:TurbineComponent)
WHERE part.healthScore IS NOT NULL
WITH farm, turbine, part ORDER BY part.healthScore
WITH farm, collect({turbine: turbine.name, part: part.name, model: part._model, health: part.healthScore,
  failure: part.expectedFailureTime, confidence: part.confidence})[..3] AS weakest
UNWIND weakest AS one
RETURN farm.name AS farm, one.turbine AS turbine, one.part AS component, one.health AS health,
  one.failure AS expectedFailure, one.confidence AS confidence
ORDER BY farm, health;

// Energy [kWh] and mean wind [m/s] of each turbine and UTC month, from ten-minute means.
MATCH (t:Turbine)-[:_HISTORY]->(s:_Segment)
WHERE s.power IS NOT NULL AND s.windSpeed IS NOT NULL
WITH t, s, coalesce(s._dt_power, s._dt) AS offsets
UNWIND range(0, size(s.power) - 1) AS i
WITH t, datetime.truncate('month', datetime({epochMillis: s._from + offsets[i]})) AS month, s.power[i] AS power,
  s.windSpeed[i] AS wind
RETURN t.name AS turbine, toString(date(month)) AS month, sum(power) / 6 AS kilowattHours, avg(wind) AS meanWind
ORDER BY turbine, month;

// A signal over the last day, each point with its time. Change the twin, the signal and the span.
MATCH (t:Twin {dtId: 'wf01-t01'})-[:_HISTORY]->(s:_Segment)
WHERE s.power IS NOT NULL AND s._to >= datetime().epochMillis - 86400000
WITH s, coalesce(s._dt_power, s._dt) AS offsets
UNWIND range(0, size(s.power) - 1) AS i
WITH s._from + offsets[i] AS at, s.power[i] AS power
WHERE at >= datetime().epochMillis - 86400000
RETURN toString(datetime({epochMillis: at})) AS time, power ORDER BY at;

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
ORDER BY hour;

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
ORDER BY bucket;
