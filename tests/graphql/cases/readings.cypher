CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Turbine`
  RETURN collect([n.`_at_operatingState`, n.`_at_power`, n.`_at_windSpeed`, n.`_last`, n.`_stale`, n.`operatingState`, n.`power`, n.`windSpeed`]) AS rows
}
RETURN rows
