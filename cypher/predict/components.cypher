// Every turbine component with its model, turbine and farm; the newest event time of all up to $limit.
MATCH (farm:WindFarm)-[:contains]->(turbine:Turbine)-[:hasComponent]->(part:TurbineComponent)
RETURN collect([part.dtId, part._model, turbine.dtId, farm.dtId]) AS rows, 
  max(CASE WHEN part._at_vibrationMean <= $limit THEN part._at_vibrationMean END) AS newest
