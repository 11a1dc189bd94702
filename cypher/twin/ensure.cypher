// Creates the twins that are missing, leaves the others alone. $rows: [{dtId, labels, properties}]
UNWIND $rows AS row
MERGE (t:Twin {dtId: row.dtId})
ON CREATE SET t += row.properties, t:$(row.labels)
