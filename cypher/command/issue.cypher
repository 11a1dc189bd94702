// Records a command before it is sent. $dtId, $id, $properties
MATCH (t:Twin {dtId: $dtId})
CREATE (t)-[:_EVENT]->(e:_Event:_Command {id: $id, dtId: $dtId, kind: 'command', status: 'PENDING', at: datetime()})
SET e += $properties
RETURN e.id
