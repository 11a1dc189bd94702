// A twin was heard of, though nothing that was said is new. $rows: [{id, received}]; $limit: later times were wrong.
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.id})
WHERE coalesce(t._received, 0) < row.received OR t._received > $limit
SET t._received = row.received
