CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Turbine`
  RETURN collect([n.`_model`, n.`dtId`, n.`name`, n.`operatingState`, n.`power`, n.`ratedPower`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Turbine`
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Turbine`
  RETURN collect([n.`dtId`]) AS rows
}
RETURN rows
