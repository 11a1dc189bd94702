// Names of the constraints and indexes Twingraph has made.
MATCH (d:_Ddl) RETURN d.name
