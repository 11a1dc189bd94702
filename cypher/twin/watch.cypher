// What tells that a twin has changed, for the twins that are watched. $dtIds
UNWIND $dtIds AS dtId
MATCH (t:Twin {dtId: dtId})
RETURN collect([t.dtId, t._etag, t._last]) AS seen
