// The state of one command. $id
MATCH (e:_Command {id: $id})
RETURN e.id, e.dtId, e.command, e.status, e.request, e.response, e.reason, e.at, e.answeredAt
