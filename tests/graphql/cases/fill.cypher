CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Turbine`
  CALL (n) {
    WITH n._joined AS n_0j
    CALL (n) {
      MATCH (n)-[:_HISTORY]->(s:_Segment)
      WHERE s._to >= $p1 AND s._from <= $p2 AND (s.`_1d_power` IS NOT NULL OR s.`power` IS NOT NULL)
      RETURN collect(CASE WHEN $p4 IN s._only THEN CASE WHEN $p3 >= 86400000 AND s.`_1d_power` IS NOT NULL THEN [true, s.`_1d_power`] WHEN $p3 >= 3600000 AND s.`_1h_power` IS NOT NULL THEN [true, s.`_1h_power`] WHEN $p3 >= 600000 AND s.`_10m_power` IS NOT NULL THEN [true, s.`_10m_power`] WHEN $p3 >= 60000 AND s.`_1m_power` IS NOT NULL THEN [true, s.`_1m_power`] ELSE [false] END WHEN $p3 = 0 OR s._from < $p1 OR s._to >= $p2 THEN [s._from, coalesce(s.`_dt_power`, s._dt), s.`power`] WHEN $p3 >= 86400000 AND s.`_1d_power` IS NOT NULL THEN [s.`_1d_power`] WHEN $p3 >= 3600000 AND s.`_1h_power` IS NOT NULL THEN [s.`_1h_power`] WHEN $p3 >= 600000 AND s.`_10m_power` IS NOT NULL THEN [s.`_10m_power`] WHEN $p3 >= 60000 AND s.`_1m_power` IS NOT NULL THEN [s.`_1m_power`] ELSE [s._from, coalesce(s.`_dt_power`, s._dt), s.`power`] END) AS n_0s
    }
    MATCH (n_0t) WHERE elementId(n_0t) = elementId(n)
    RETURN [n_0j, n_0s, n_0t._joined] AS n_0_
  }
  CALL (n) {
    WITH n._joined AS n_1j
    CALL (n) {
      MATCH (n)-[:_HISTORY]->(s:_Segment)
      WHERE s._to >= $p1 AND s._from <= $p2 AND (s.`_1d_power` IS NOT NULL OR s.`power` IS NOT NULL)
      RETURN collect(CASE WHEN $p4 IN s._only THEN CASE WHEN $p5 >= 86400000 AND s.`_1d_power` IS NOT NULL THEN [true, s.`_1d_power`] WHEN $p5 >= 3600000 AND s.`_1h_power` IS NOT NULL THEN [true, s.`_1h_power`] WHEN $p5 >= 600000 AND s.`_10m_power` IS NOT NULL THEN [true, s.`_10m_power`] WHEN $p5 >= 60000 AND s.`_1m_power` IS NOT NULL THEN [true, s.`_1m_power`] ELSE [false] END WHEN $p5 = 0 OR s._from < $p1 OR s._to >= $p2 THEN [s._from, coalesce(s.`_dt_power`, s._dt), s.`power`] WHEN $p5 >= 86400000 AND s.`_1d_power` IS NOT NULL THEN [s.`_1d_power`] WHEN $p5 >= 3600000 AND s.`_1h_power` IS NOT NULL THEN [s.`_1h_power`] WHEN $p5 >= 600000 AND s.`_10m_power` IS NOT NULL THEN [s.`_10m_power`] WHEN $p5 >= 60000 AND s.`_1m_power` IS NOT NULL THEN [s.`_1m_power`] ELSE [s._from, coalesce(s.`_dt_power`, s._dt), s.`power`] END) AS n_1s
    }
    MATCH (n_1t) WHERE elementId(n_1t) = elementId(n)
    RETURN [n_1j, n_1s, n_1t._joined] AS n_1_
  }
  CALL (n) {
    WITH n._joined AS n_2j
    CALL (n) {
      MATCH (n)-[:_HISTORY]->(s:_Segment)
      WHERE s._to >= $p6 AND s._from <= $p7 AND s.`power` IS NOT NULL
      RETURN collect([s._from, coalesce(s.`_dt_power`, s._dt), s.`power`]) AS n_2s
    }
    MATCH (n_2t) WHERE elementId(n_2t) = elementId(n)
    RETURN [n_2j, n_2s, n_2t._joined] AS n_2_
  }
  RETURN collect([n_0_, n_1_, n_2_]) AS rows
}
RETURN rows
