CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`Turbine`
  CALL (n) {
    WITH n._joined AS n_0j
    CALL (n) {
      MATCH (n)-[:_HISTORY]->(s:_Segment)
      WHERE s._to >= $p1 AND s._from <= $p2 AND s.`operatingState` IS NOT NULL
      RETURN collect([s._from, coalesce(s.`_dt_operatingState`, s._dt), s.`operatingState`]) AS n_0s
    }
    MATCH (n_0t) WHERE elementId(n_0t) = elementId(n)
    RETURN [n_0j, n_0s, n_0t._joined] AS n_0_
  }
  CALL (n) {
    WITH n._joined AS n_1j
    CALL (n) {
      MATCH (n)-[:_HISTORY]->(s:_Segment)
      WHERE s._to >= $p1 AND s._from <= $p3 AND s.`power` IS NOT NULL
      RETURN collect([s._from, coalesce(s.`_dt_power`, s._dt), s.`power`]) AS n_1s
    }
    MATCH (n_1t) WHERE elementId(n_1t) = elementId(n)
    RETURN [n_1j, n_1s, n_1t._joined] AS n_1_
  }
  CALL (n) {
    WITH n._joined AS n_2j
    CALL (n) {
      MATCH (n)-[:_HISTORY]->(s:_Segment)
      WHERE s._to >= $p1 AND s._from <= $p2 AND (s.`_1d_power` IS NOT NULL OR s.`power` IS NOT NULL)
      RETURN collect(CASE WHEN $p5 IN s._only THEN CASE WHEN $p4 >= 86400000 AND s.`_1d_power` IS NOT NULL THEN [true, s.`_1d_power`] WHEN $p4 >= 3600000 AND s.`_1h_power` IS NOT NULL THEN [true, s.`_1h_power`] WHEN $p4 >= 600000 AND s.`_10m_power` IS NOT NULL THEN [true, s.`_10m_power`] WHEN $p4 >= 60000 AND s.`_1m_power` IS NOT NULL THEN [true, s.`_1m_power`] ELSE [false] END WHEN $p4 = 0 OR s._from < $p1 OR s._to >= $p2 THEN [s._from, coalesce(s.`_dt_power`, s._dt), s.`power`] WHEN $p4 >= 86400000 AND s.`_1d_power` IS NOT NULL THEN [s.`_1d_power`] WHEN $p4 >= 3600000 AND s.`_1h_power` IS NOT NULL THEN [s.`_1h_power`] WHEN $p4 >= 600000 AND s.`_10m_power` IS NOT NULL THEN [s.`_10m_power`] WHEN $p4 >= 60000 AND s.`_1m_power` IS NOT NULL THEN [s.`_1m_power`] ELSE [s._from, coalesce(s.`_dt_power`, s._dt), s.`power`] END) AS n_2s
    }
    MATCH (n_2t) WHERE elementId(n_2t) = elementId(n)
    RETURN [n_2j, n_2s, n_2t._joined] AS n_2_
  }
  CALL (n) {
    WITH n._joined AS n_3j
    CALL (n) {
      MATCH (n)-[:_HISTORY]->(s:_Segment)
      WHERE s._to >= $p1 AND s._from <= $p6 AND s.`power` IS NOT NULL
      RETURN collect([s._from, coalesce(s.`_dt_power`, s._dt), s.`power`]) AS n_3s
    }
    MATCH (n_3t) WHERE elementId(n_3t) = elementId(n)
    RETURN [n_3j, n_3s, n_3t._joined] AS n_3_
  }
  CALL (n) {
    WITH n._joined AS n_4j
    CALL (n) {
      MATCH (n)-[:_HISTORY]->(s:_Segment)
      WHERE s._to >= $p1 AND s._from <= $p2 AND s.`windSpeed` IS NOT NULL
      RETURN collect([s._from, coalesce(s.`_dt_windSpeed`, s._dt), s.`windSpeed`]) AS n_4s
    }
    MATCH (n_4t) WHERE elementId(n_4t) = elementId(n)
    RETURN [n_4j, n_4s, n_4t._joined] AS n_4_
  }
  RETURN collect([n_0_, n_1_, n_2_, n_3_, n_4_]) AS rows
}
RETURN rows
