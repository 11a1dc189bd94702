// Creates twins. $rows: [{dtId, labels, properties}]; a taken dtId fails the whole.
UNWIND $rows AS row
CREATE (t:Twin {dtId: row.dtId})
SET t += row.properties, t:$(row.labels)
