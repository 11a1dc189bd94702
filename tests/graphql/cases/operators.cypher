CALL () {
  MATCH (n:`Turbine`)
  WHERE n.dtId IS NOT NULL AND ($p0[0] <= n.`power` <= $p0[1])
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  WHERE n.dtId IS NOT NULL AND (n.`operatingState` IN $p0)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`, n.`operatingState`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`:`Asset`)
  WHERE n.dtId IS NOT NULL AND (n.`name` IN $p0 AND NOT n.`name` IN $p1 AND n.`name` =~ $p2)
  WITH n ORDER BY n.dtId LIMIT $p3
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`WindFarm`)
  WHERE n.dtId IS NOT NULL AND (COUNT { MATCH (n)-[:`contains`]->(nx:`Turbine`) WHERE (nx.`power` IS NOT NULL) } >= $p0)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`WindFarm`)
  WHERE n.dtId IS NOT NULL AND (COUNT { MATCH (n)-[:`contains`]->(nx:`Turbine`) WHERE (nx.`dtId` STARTS WITH $p0) } = 1)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  WHERE n.dtId IS NOT NULL AND (n.`_at_power` > $p0)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Twin`)
  WHERE n.dtId IS NOT NULL AND (n.`_model` STARTS WITH $p0)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`_model`, n.`dtId`]) AS rows
}
RETURN rows
