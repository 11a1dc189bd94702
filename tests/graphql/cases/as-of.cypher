CALL () {
  MATCH (n:`Turbine`)
  WHERE coalesce(n._since <= $p0, true) AND (coalesce(head(COLLECT { MATCH (n)-[:_PAST]->(v:_Version) WHERE v._until > $p0 AND $p1 IN v._keys RETURN [v.`name`] ORDER BY v._until LIMIT 1 }), [n.`name`])[0] STARTS WITH $p2)
  WITH n ORDER BY head(COLLECT { MATCH (n)-[:_HISTORY]->(s:_Segment) WHERE s._from <= $p0.epochMillis AND (s.`power` IS NOT NULL OR $p3 IN s._only) WITH s ORDER BY CASE WHEN s._to > $p0.epochMillis THEN $p0.epochMillis ELSE s._to END DESC LIMIT 16 WITH s, CASE WHEN s.`power` IS NULL THEN [] ELSE coalesce(s.`_dt_power`, s._dt) END AS dt UNWIND CASE WHEN s.`power` IS NULL THEN [[CASE WHEN s._to > $p0.epochMillis THEN $p0.epochMillis ELSE s._to END, null]] ELSE [i IN range(0, size(dt) - 1) WHERE s._from + dt[i] <= $p0.epochMillis | [s._from + dt[i], s.`power`[i]]] END AS point WITH point[0] AS at, point[1] AS value ORDER BY at DESC LIMIT 1 RETURN value }) DESC, n.dtId LIMIT $p4
  CALL (n) {
    CALL (n) {
      MATCH (n)<-[n_3r:`contains`]-(n_3:`WindFarm`)
      WHERE coalesce(n_3r._since <= $p0, true)
      RETURN n_3, n_3r
      UNION ALL
      MATCH (n)<-[:_PAST_TO]-(n_3r:_Link)<-[:_PAST]-(n_3:`WindFarm`)
      WHERE n_3r._name = $p5 AND n_3r._until > $p0 AND coalesce(n_3r._since <= $p0, true)
      RETURN n_3, n_3r
    }
    WITH *
    WITH n_3 ORDER BY n_3.dtId LIMIT $p6
    RETURN collect([n_3.`dtId`]) AS n_3_
  }
  RETURN collect([n.`dtId`, coalesce(head(COLLECT { MATCH (n)-[:_PAST]->(v:_Version) WHERE v._until > $p0 AND $p1 IN v._keys RETURN [v.`name`] ORDER BY v._until LIMIT 1 }), [n.`name`])[0], head(COLLECT { MATCH (n)-[:_HISTORY]->(s:_Segment) WHERE s._from <= $p0.epochMillis AND (s.`power` IS NOT NULL OR $p3 IN s._only) WITH s ORDER BY CASE WHEN s._to > $p0.epochMillis THEN $p0.epochMillis ELSE s._to END DESC LIMIT 16 WITH s, CASE WHEN s.`power` IS NULL THEN [] ELSE coalesce(s.`_dt_power`, s._dt) END AS dt UNWIND CASE WHEN s.`power` IS NULL THEN [[CASE WHEN s._to > $p0.epochMillis THEN $p0.epochMillis ELSE s._to END, null]] ELSE [i IN range(0, size(dt) - 1) WHERE s._from + dt[i] <= $p0.epochMillis | [s._from + dt[i], s.`power`[i]]] END AS point WITH point[0] AS at, point[1] AS value ORDER BY at DESC LIMIT 1 RETURN value }), n_3_]) AS rows
}
RETURN rows
