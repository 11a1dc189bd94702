CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Turbine`
  CALL (n) {
    MATCH (n)-[:_HISTORY]->(s:_Segment)
    WHERE s._to >= $p1 AND s._from <= $p2 AND s.`operatingState` IS NOT NULL
    RETURN collect([s._from, coalesce(s.`_dt_operatingState`, s._dt), s.`operatingState`]) AS n_0_
  }
  CALL (n) {
    MATCH (n)-[:_HISTORY]->(s:_Segment)
    WHERE s._to >= $p1 AND s._from <= $p3 AND s.`power` IS NOT NULL
    RETURN collect([s._from, coalesce(s.`_dt_power`, s._dt), s.`power`]) AS n_1_
  }
  CALL (n) {
    MATCH (n)-[:_HISTORY]->(s:_Segment)
    WHERE s._to >= $p1 AND s._from <= $p2 AND s.`power` IS NOT NULL
    RETURN collect(CASE WHEN $p4 = 0 OR s._from < $p1 OR s._to >= $p2 THEN [s._from, coalesce(s.`_dt_power`, s._dt), s.`power`] WHEN $p4 >= 86400000 AND s.`_1d_power` IS NOT NULL THEN [s.`_1d_power`] WHEN $p4 >= 3600000 AND s.`_1h_power` IS NOT NULL THEN [s.`_1h_power`] WHEN $p4 >= 600000 AND s.`_10m_power` IS NOT NULL THEN [s.`_10m_power`] WHEN $p4 >= 60000 AND s.`_1m_power` IS NOT NULL THEN [s.`_1m_power`] ELSE [s._from, coalesce(s.`_dt_power`, s._dt), s.`power`] END) AS n_2_
  }
  CALL (n) {
    MATCH (n)-[:_HISTORY]->(s:_Segment)
    WHERE s._to >= $p1 AND s._from <= $p5 AND s.`power` IS NOT NULL
    RETURN collect([s._from, coalesce(s.`_dt_power`, s._dt), s.`power`]) AS n_3_
  }
  CALL (n) {
    MATCH (n)-[:_HISTORY]->(s:_Segment)
    WHERE s._to >= $p1 AND s._from <= $p2 AND s.`windSpeed` IS NOT NULL
    RETURN collect([s._from, coalesce(s.`_dt_windSpeed`, s._dt), s.`windSpeed`]) AS n_4_
  }
  RETURN collect([n_0_, n_1_, n_2_, n_3_, n_4_]) AS rows
}
RETURN rows
