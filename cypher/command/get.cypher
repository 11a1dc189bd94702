// The state of one command. $id
MATCH (e:_Event {id: $id})
WHERE e:_Command
RETURN e.id, e.dtId, e.command, e.status, e.request, e.response, e.reason, e.at, e.answeredAt
