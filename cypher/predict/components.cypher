// Every turbine component with its model, turbine and farm; the newest time of measure of all.
MATCH (farm:WindFarm)-[:contains]->(turbine:Turbine)-[:hasComponent]->(part:TurbineComponent)
RETURN collect([part.dtId, part._model, turbine.dtId, farm.dtId]) AS rows, max(part._at_vibrationMean) AS newest
