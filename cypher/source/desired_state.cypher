// What every process is to do with a source. $source, $stopped (null: as it is), $reload: count one up
MATCH (s:_Source {source: $source})
WITH count(s) AS known
CALL (known) {
  WITH known WHERE known > 0
  MERGE (w:_Wish {source: $source})
  SET w.stopped = coalesce($stopped, w.stopped, false), w.reload = coalesce(w.reload, 0) + CASE WHEN $reload THEN 1 ELSE 0 END
}
RETURN known
