// Takes away what is older than it is kept: the points of a signal, and once `$rolled` is past the roll-ups, too. A segment that
// has no roll-ups to stay for it keeps its points until then; one that is empty goes. `_only` names signals with roll-ups alone.
// What reads meanwhile reads again.
// $model, $signal, $rollup: a key, $before, $rolled [epoch ms], $points, $rest: {key: null, …}, $most segments
MATCH (t:Twin {_model: $model})-[:_HISTORY]->(s:_Segment)
WHERE (s._to < $before AND s[$signal] IS NOT NULL AND s[$rollup] IS NOT NULL)
  OR (s._to < $rolled AND (s[$signal] IS NOT NULL OR s[$rollup] IS NOT NULL))
WITH t, s LIMIT $most
SET t._joined = coalesce(t._joined, 0) + 1, s += $points, s._only = coalesce(s._only, []) + $signal
SET s += CASE WHEN s._to < $rolled THEN $rest ELSE {} END
REMOVE s:_Fresh, s:_Short
WITH s
CALL (s) {
  WITH s WHERE none(key IN keys(s) WHERE NOT key STARTS WITH '_' OR key STARTS WITH '_1')
  DETACH DELETE s
}
RETURN count(*) AS touched
