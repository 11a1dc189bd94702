CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`WindFarm`
  CALL (n) {
    MATCH (n)-[:`contains`|`feeds`|`hasComponent`*1..2]->(n_0:`TurbineComponent`)
    WITH DISTINCT n, n_0
    WITH n_0 ORDER BY n_0.dtId LIMIT $p1
    RETURN collect([n_0.`_model`, n_0.`dtId`, n_0.`oilTemperature`]) AS n_0_
  }
  CALL (n) {
    MATCH (n)-[:`contains`|`hasComponent`*1..5]->(n_1:`Twin`)
    WITH DISTINCT n, n_1
    WITH n_1 ORDER BY n_1.dtId LIMIT $p2
    RETURN collect([n_1.`_model`, n_1.`dtId`]) AS n_1_
  }
  RETURN collect([n_0_, n_1_]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Turbine`
  CALL (n) {
    MATCH (n)<-[:`contains`*1..5]-(n_0:`Twin`)
    WITH DISTINCT n, n_0
    WITH n_0 ORDER BY n_0.dtId LIMIT $p1
    RETURN collect([n_0.`dtId`]) AS n_0_
  }
  RETURN collect([n_0_]) AS rows
}
RETURN rows
