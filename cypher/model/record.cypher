// Notes constraints and indexes in the ledger. $rows: [{name, cypher}]
UNWIND $rows AS row
MERGE (d:_Ddl {name: row.name})
SET d.cypher = row.cypher, d.appliedAt = datetime()
