CALL () {
  MATCH (n:`Turbine`)
  WHERE (n.`power` IS NOT NULL)
  RETURN [count(n), min(n.`power`), max(n.`power`), avg(n.`power`), sum(n.`power`), count(n.`power`), avg(n.`windSpeed`)] AS totals
}
RETURN totals

CALL () {
  MATCH (n:`Asset`)
  RETURN [count(n), min(n.`healthScore`)] AS totals
}
RETURN totals
