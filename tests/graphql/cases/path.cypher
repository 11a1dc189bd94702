CALL () {
  MATCH (a:Twin {dtId: $p0}), (b:Twin {dtId: $p1})
  MATCH p = SHORTEST 1 (a) ((x:Twin)-[:`contains`|`feeds`|`hasComponent`]-(y:Twin)){0,16} (b)
  CALL (p) {
    UNWIND nodes(p) AS n
    RETURN collect([n.`_model`, n.`dtId`]) AS twins
  }
  RETURN collect([twins, [r IN relationships(p) | [type(r), startNode(r).dtId, endNode(r).dtId, r._id]]]) AS rows
}
RETURN rows

CALL () {
  MATCH (a:Twin {dtId: $p0}), (b:Twin {dtId: $p1})
  MATCH p = SHORTEST 1 (a) ((x:Twin)-[:`contains`|`feeds`|`hasComponent`]->(y:Twin)){0,16} (b)
  CALL (p) {
    UNWIND nodes(p) AS n
    RETURN collect([n.`dtId`]) AS twins
  }
  RETURN collect([twins, [r IN relationships(p) | [type(r), startNode(r).dtId, endNode(r).dtId, r._id]]]) AS rows
}
RETURN rows

CALL () {
  MATCH (a:Twin {dtId: $p0}), (b:Twin {dtId: $p1})
  MATCH p = SHORTEST 1 (a) ((x:Twin)-[:`contains`|`hasComponent`]->(y:Twin)){0,16} (b)
  CALL (p) {
    UNWIND nodes(p) AS n
    RETURN collect([n.`dtId`]) AS twins
  }
  RETURN collect([twins, [r IN relationships(p) | [type(r), startNode(r).dtId, endNode(r).dtId, r._id]]]) AS rows
}
RETURN rows
