CALL () {
  MATCH (n:`Turbine`)
  WHERE ($p0[0] <= n.`power` <= $p0[1])
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  WHERE (n.`operatingState` IN $p0)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`, n.`operatingState`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  WHERE (n.`name` IN $p0 AND NOT n.`name` IN $p1 AND n.`name` =~ $p2)
  WITH n ORDER BY n.dtId LIMIT $p3
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`WindFarm`)
  WHERE (COUNT { MATCH (n)-[:`contains`]->(nx:`Turbine`) WHERE (nx.`power` IS NOT NULL) } >= $p0)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`WindFarm`)
  WHERE (COUNT { MATCH (n)-[:`contains`]->(nx:`Turbine`) WHERE (nx.`dtId` STARTS WITH $p0) } = 1)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  WHERE (n.`_at_power` > $p0)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Twin`)
  WHERE (n.`_model` STARTS WITH $p0)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`_model`, n.`dtId`]) AS rows
}
RETURN rows
