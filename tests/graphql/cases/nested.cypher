CALL () {
  MATCH (n:`WindFarm`)
  WITH n ORDER BY n.`name`, n.dtId LIMIT $p0
  CALL (n) {
    MATCH (n)-[:`contains`]->(n_1:`Turbine`)
    WITH n_1 ORDER BY n_1.`dtId` DESC, n_1.dtId LIMIT $p1
    CALL (n_1) {
      MATCH (n_1)-[:`feeds`]->(n_1_1:`Substation`)
      RETURN collect([n_1_1.`name`]) AS n_1_1_
    }
    CALL (n_1) {
      MATCH (n_1)-[:`hasComponent`]->(n_1_2:`Asset`)
      WITH n_1_2 ORDER BY n_1_2.`healthScore`, n_1_2.dtId LIMIT $p0
      RETURN collect([n_1_2.`_model`, n_1_2.`healthScore`, n_1_2.`name`, n_1_2.`oilTemperature`]) AS n_1_2_
    }
    RETURN collect([n_1.`dtId`, n_1_1_, n_1_2_]) AS n_1_
  }
  RETURN collect([n.`name`, n_1_]) AS rows
}
RETURN rows
