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
  WHERE n.dtId IS NOT NULL AND (n.`name` IN $p0 AND NOT n.`name` IN $p1 AND any(k IN [n.`name`] WHERE CASE WHEN k IS :: STRING NOT NULL THEN $p2.accept[reduce(q = 0, part IN CASE WHEN size(k) <= 100000 THEN [k] ELSE [i IN range(0, (size(k) - 1) / 100000) | substring(k, i * 100000, 100000)] END | reduce(r = q, c IN split(part, '') | $p2.next[r][coalesce($p2.classes[c], head([x IN $p2.ranges WHERE x[0] < c AND c < x[1] | x[2]]), 0)]))] ELSE false END))
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
