CALL () {
  MATCH (n:Twin {dtId: $p0})
  WHERE n:`WindFarm`
  CALL (n) {
    MATCH (n)-[:`contains`]->(n_0:`Turbine`)
    WITH n_0 ORDER BY n_0.dtId LIMIT $p1
    CALL (n_0) {
      WITH n_0._joined AS n_0_1j
      CALL (n_0) {
        MATCH (n_0)-[:_HISTORY]->(s:_Segment)
        WHERE s._to >= $p2 AND s._from <= $p3 AND s.`power` IS NOT NULL
        RETURN collect([s._from, coalesce(s.`_dt_power`, s._dt), s.`power`]) AS n_0_1s
      }
      MATCH (n_0_1t) WHERE elementId(n_0_1t) = elementId(n_0)
      RETURN [n_0_1j, n_0_1s, n_0_1t._joined] AS n_0_1_
    }
    CALL (n_0) {
      WITH n_0._joined AS n_0_2j
      CALL (n_0) {
        MATCH (n_0)-[:_HISTORY]->(s:_Segment)
        WHERE s._to >= $p2 AND s._from <= $p3 AND s.`windSpeed` IS NOT NULL
        RETURN collect([s._from, coalesce(s.`_dt_windSpeed`, s._dt), s.`windSpeed`]) AS n_0_2s
      }
      MATCH (n_0_2t) WHERE elementId(n_0_2t) = elementId(n_0)
      RETURN [n_0_2j, n_0_2s, n_0_2t._joined] AS n_0_2_
    }
    RETURN collect([n_0.`dtId`, n_0_1_, n_0_2_]) AS n_0_
  }
  RETURN collect([n_0_]) AS rows
}
RETURN rows
