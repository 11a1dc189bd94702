// Alarms that have not ended, the newest first.
MATCH (part:Twin)-[:_EVENT]->(alarm:_Event {kind: 'alarm'})
WHERE alarm.endedAt IS NULL
OPTIONAL MATCH (turbine:Turbine)-[:hasComponent]->(part)
RETURN alarm.at AS since, alarm.severity AS severity, turbine.name AS turbine, part.name AS component,
  alarm.code AS code, alarm.message AS message, part.healthScore AS health
ORDER BY since DESC
LIMIT 200
