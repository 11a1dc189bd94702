// Takes messages out, in the transaction that writes what they have become; not those that were mended meanwhile.
// $rows: [{id, payload}]
MATCH (d:_DeadLetter)
WITH d, coalesce(d.id, elementId(d)) AS id
UNWIND $rows AS row
WITH d, id, row WHERE row.id = id AND row.payload = d.payload
DELETE d
RETURN count(*) AS taken
