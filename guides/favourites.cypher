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
