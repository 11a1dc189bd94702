CALL () {
  MATCH (n:`Turbine`)
  WITH n ORDER BY n.`power` DESC, n.dtId LIMIT $p0
  RETURN collect([n.`dtId`, n.`name`, n.`power`]) AS rows
}
CALL () {
  MATCH (n:`Turbine`)
  RETURN [count(n)] AS totals
}
RETURN rows, totals
