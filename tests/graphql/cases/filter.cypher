CALL () {
  MATCH (n:`Turbine`)
  WHERE (((n.`power` >= $p0) OR (n.`windSpeed` IS NOT NULL)) AND EXISTS { MATCH (n)<-[:`contains`]-(nx:`WindFarm`) WHERE (nx.`region` = $p1) })
  WITH n ORDER BY n.`power` DESC, n.dtId LIMIT $p2
  RETURN collect([n.`dtId`, n.`power`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  WHERE n.dtId IS NOT NULL AND (NOT EXISTS { MATCH (n)-[:`hasComponent`]->(nx:`Asset`) WHERE (nx.`healthScore` < $p0) })
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  WHERE n.dtId IS NOT NULL AND (NOT coalesce((n.`name` ENDS WITH $p0), false) AND NOT EXISTS { MATCH (n)-[:`hasComponent`]->(nx:`Asset`) WHERE NOT coalesce((nx.`healthScore` > $p1), false) })
  WITH n ORDER BY n.dtId LIMIT $p2
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`WindFarm`)
  WHERE n.dtId IS NOT NULL
  WITH n ORDER BY n.dtId LIMIT $p0
  RETURN collect([n.`_model`, n.`dtId`, n.`region`]) AS rows
}
RETURN rows
