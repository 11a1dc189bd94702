CALL () {
  MATCH (n:`Turbine`)
  WHERE (((n.`power` > $p0 AND n.`power` < $p1) AND (n.`dtId` IN $p2)))
  WITH n ORDER BY n.`dtId`, n.dtId LIMIT $p3
  RETURN collect([n.`dtId`, n.`power`]) AS rows
}
RETURN rows
