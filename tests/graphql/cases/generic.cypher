CALL () {
  MATCH (n:Twin {dtId: $p0})
  RETURN collect([n.`_model`, n.`dtId`, properties(n)]) AS rows
}
RETURN rows
