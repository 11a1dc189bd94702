// A twin was heard of, though nothing that was said is new. $rows: [{id, received}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.id})
WHERE coalesce(t._received, 0) < row.received
SET t._received = row.received
