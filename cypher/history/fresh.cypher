// Twins with many small segments, those with the most first, late ones once they have settled. $short: of the second tier,
// $least, $twins, $settle [ms]
CALL () {
  WITH * WHERE NOT $short
  MATCH (s:_Fresh) WHERE coalesce(s._late < datetime().epochMillis - $settle, true) RETURN s
  UNION ALL
  WITH * WHERE $short
  MATCH (s:_Short) RETURN s
}
MATCH (t:Twin)-[:_HISTORY]->(s)
WITH t, count(*) AS small
WHERE small >= $least
RETURN t.dtId ORDER BY small DESC LIMIT $twins
