CALL () {
  MATCH (n:`Turbine`)
  WITH n, head(COLLECT { MATCH (n)<-[:`contains`]-(nx:`WindFarm`) WHERE nx.`region` IS NOT NULL RETURN nx.`region` ORDER BY nx.`region` DESC LIMIT 1 }) AS n_k0, n.`dtId` AS n_k1
  WITH n, n_k0, n_k1 ORDER BY n_k0 DESC, n_k1 DESC, n.dtId LIMIT $p0
  CALL (n) {
    MATCH (n)<-[:`contains`]-(n_1:`WindFarm`)
    WITH n_1 ORDER BY n_1.dtId LIMIT $p0
    RETURN collect([n_1.`region`]) AS n_1_
  }
  RETURN collect([n.`dtId`, n_1_, n_k0]) AS rows
}
RETURN rows

CALL () {
  MATCH (n:`Turbine`)
  WITH n, head(COLLECT { MATCH (n)<-[:`contains`]-(nx:`WindFarm`) WHERE nx.`region` IS NOT NULL RETURN nx.`region` ORDER BY nx.`region` DESC LIMIT 1 }) AS n_k0
  WITH n, n_k0 ORDER BY n_k0 DESC, n.dtId LIMIT $p0
  RETURN collect([n.`dtId`, n_k0]) AS rows
}
RETURN rows
