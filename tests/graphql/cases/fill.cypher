CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Turbine`
  CALL (n) {
    MATCH (n)-[:_HISTORY]->(s:_Segment)
    WHERE s._to >= $p1 AND s._from <= $p2 AND s.`power` IS NOT NULL
    RETURN collect([s._from, coalesce(s.`_dt_power`, s._dt), s.`power`]) AS n_0_
  }
  CALL (n) {
    MATCH (n)-[:_HISTORY]->(s:_Segment)
    WHERE s._to >= $p3 AND s._from <= $p4 AND s.`power` IS NOT NULL
    RETURN collect([s._from, coalesce(s.`_dt_power`, s._dt), s.`power`]) AS n_1_
  }
  RETURN collect([n_0_, n_1_]) AS rows
}
RETURN rows
