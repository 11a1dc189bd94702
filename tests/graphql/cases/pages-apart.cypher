CALL () {
  MATCH (n:`Turbine`)
  WHERE n.dtId IS NOT NULL
  WITH n ORDER BY n.dtId LIMIT $p0
  RETURN collect([n.`dtId`, n.`name`, n.`power`, n.`windSpeed`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  RETURN [count(n)] AS totals
}
RETURN totals
