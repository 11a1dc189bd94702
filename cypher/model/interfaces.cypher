// Draws interfaces. $rows: [{dtmi, properties}]
UNWIND $rows AS row
MERGE (i:_Interface {dtmi: row.dtmi})
SET i += row.properties, i.labels = row.labels
