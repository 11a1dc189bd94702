// Sets messages aside. $rows: [{source, topic, code, reason, payload, size, received, time}]
UNWIND $rows AS row
CREATE (d:_DeadLetter {id: randomUUID(), at: datetime()})
SET d += row
