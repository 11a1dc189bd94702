CALL () {
  MATCH (n:`WindFarm`)
  WITH n ORDER BY n.`name` DESC, n.dtId LIMIT $p0
  CALL (n) {
    MATCH (n)-[n_1r:`contains`]->(n_1:`Turbine`)
    WITH n_1, n_1r ORDER BY n_1.`power` DESC, n_1.dtId LIMIT $p1
    RETURN collect([n_1.`dtId`, n_1.`power`, n_1r.`_id`]) AS n_1_
  }
  CALL (n) {
    MATCH (n)-[:`contains`]->(n_2:`Turbine`)
    WHERE (n_2.`power` > $p2)
    RETURN [count(n_2), min(n_2.`power`), max(n_2.`power`), avg(n_2.`power`), count(DISTINCT n_2.`power`)] AS n_2_
  }
  RETURN collect([n.`dtId`, n_1_, n_2_, [COUNT { (n)-[:`contains`]->() }]]) AS rows
}
RETURN rows
