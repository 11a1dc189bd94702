CALL () {
  MATCH (n:`Asset`)
  WHERE n.dtId IS NOT NULL AND (n.`dtId` STARTS WITH $p0)
  WITH n ORDER BY n.dtId LIMIT $p1
  RETURN collect([n.`_model`, n.`dtId`, n.`name`, n.`ratedPower`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:Twin {dtId: $p0})
  RETURN collect([n.`_model`, n.`dtId`, n.`name`, n.`region`]) AS rows
}
RETURN rows
