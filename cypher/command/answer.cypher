// Records the device's answer; the first one stands. $rows: [{id, status, response, at}]
UNWIND $rows AS row
MATCH (e:_Event {id: row.id})
SET e._lock = 1
WITH e, row WHERE e:_Command AND e.status IN ['PENDING', 'TIMED_OUT']
SET e.status = row.status, e.response = row.response, e.reason = row.reason, e.answeredAt = datetime()
RETURN count(e) AS answered
