CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Gearbox`
  CALL (n) {
    MATCH (n)<-[:`hasComponent`]-(n_1:`Asset`)
    WITH n_1 ORDER BY n_1.dtId LIMIT $p1
    CALL (n_1) {
      MATCH (n_1)<-[:`contains`]-(n_1_2:`WindFarm`)
      WITH n_1_2 ORDER BY n_1_2.dtId LIMIT $p1
      RETURN collect([n_1_2.`name`]) AS n_1_2_
    }
    RETURN collect([n_1.`_model`, n_1.`dtId`, n_1_2_]) AS n_1_
  }
  RETURN collect([n.`name`, n_1_]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Substation`
  CALL (n) {
    MATCH (n)<-[:`feeds`]-(n_0:`Turbine`)
    WITH n_0 ORDER BY n_0.dtId LIMIT $p1
    RETURN collect([n_0.`dtId`]) AS n_0_
  }
  RETURN collect([n_0_]) AS rows
}
RETURN rows
