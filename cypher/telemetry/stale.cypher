// Latest values up to a moment are no longer what is: the device has gone. $rows: [{id, at: epoch ms}]
UNWIND $rows AS row
MATCH (t:Twin {dtId: row.id})
SET t._stale = row.at, t._revision = coalesce(t._revision, 0) + 1
