CALL () {
  MATCH (n:`Turbine`)
  WHERE (n.`ratedPower` > $p0)
  WITH n.`operatingState` AS k0, [count(n), avg(n.`power`), stDev(n.`power`), percentileCont(n.`power`, $p1)] AS totals
  ORDER BY k0 LIMIT $p2
  RETURN collect([totals, [k0], null]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  OPTIONAL MATCH (n)<-[:`contains`]-(g:`WindFarm`)
  WITH g, [count(n), max(n.`power`), min(n.`expectedFailureTime`), count(n.`expectedFailureTime`)] AS totals
  ORDER BY g.dtId LIMIT $p0
  RETURN collect([totals, [], CASE WHEN g IS NULL THEN null ELSE [g.`_model`, g.`dtId`, g.`region`] END]) AS rows
}
RETURN rows
