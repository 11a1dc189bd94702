// Whether the database can write: the smallest transaction that it must make durable.
MERGE (p:_Probe)
SET p.at = datetime()
