// Mean time between failures per kind of component [days]: time observed of all of a kind, divided by its failures.
MATCH (part:TurbineComponent)
CALL (part) {
  OPTIONAL MATCH (part)-[:_HISTORY]->(s:_Segment)
  RETURN (max(s._to) - min(s._from)) / 86400000.0 AS days
}
WITH part, coalesce(days, 0.0) AS days, COUNT { (part)-[:_EVENT]->(:_Event {kind: 'failure'}) } AS failures
MATCH (model:_Interface {dtmi: part._model})
WITH model.label AS kind, count(part) AS components, sum(days) AS observed, sum(failures) AS failures
RETURN kind, components, failures, observed AS componentDays,
  CASE failures WHEN 0 THEN null ELSE observed / failures END AS mtbfDays
ORDER BY kind
