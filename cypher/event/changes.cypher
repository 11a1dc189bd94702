// The state of what is listened to. $twins, $commands: ids; $alarms: those recorded after it, null: none; $models: whether
CALL () {
  UNWIND $twins AS id
  MATCH (t:Twin {dtId: id})
  RETURN collect([id, t._etag, t._last, t._revision]) AS twins
}
CALL () {
  UNWIND $commands AS id
  MATCH (e:_Event {id: id})
  RETURN collect([id, e.status]) AS commands
}
CALL () {
  MATCH (e:_Event)
  WHERE e._recorded > $alarms AND e.kind = 'alarm'
  RETURN [count(e), count(e.endedAt), max(e._recorded)] AS alarms
}
CALL () {
  WITH * WHERE $models
  OPTIONAL MATCH (c:_Catalog)
  RETURN max(c.generation) AS generation
}
RETURN twins, commands, alarms, generation, datetime()
