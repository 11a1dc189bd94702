// The three weakest components of each farm.
MATCH (farm:WindFarm)-[:contains]->(turbine:Turbine)-[:hasComponent]->(part:TurbineComponent)
WHERE part.healthScore IS NOT NULL
WITH farm, turbine, part ORDER BY part.healthScore
WITH farm, collect({turbine: turbine.name, part: part.name, model: part._model, health: part.healthScore,
  failure: part.expectedFailureTime, confidence: part.confidence})[..3] AS weakest
UNWIND weakest AS one
RETURN farm.name AS farm, one.turbine AS turbine, one.part AS component, one.health AS health,
  one.failure AS expectedFailure, one.confidence AS confidence
ORDER BY farm, health
