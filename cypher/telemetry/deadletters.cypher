// Sets messages aside. $rows: [{source, topic, code, reason, payload}]
UNWIND $rows AS row
CREATE (d:_DeadLetter)
SET d = row, d.at = datetime()
