CALL () {
  MATCH (n:`TurbineComponent`)
  WHERE n.dtId IS NOT NULL
  WITH n ORDER BY n.dtId DESC LIMIT $p0
  RETURN collect([n.`dtId`]) AS rows
}
CALL () {
  MATCH (n:`TurbineComponent`)
  WHERE n.dtId IS NOT NULL
  RETURN [count(n)] AS totals
}
RETURN rows, totals

CALL () {
  MATCH (n:`Turbine`)
  WITH n ORDER BY n.`power` DESC, n.dtId DESC LIMIT $p0
  RETURN collect([n.`dtId`, n.`power`]) AS rows
}
RETURN rows
