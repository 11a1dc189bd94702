// Twins with more relationships of a name than allowed. $rows: [{source, name, most}]
UNWIND $rows AS row
WITH DISTINCT row
MATCH (a:Twin {dtId: row.source})
WITH row, COUNT { (a)-[r]->(:Twin) WHERE type(r) = row.name } AS held
WHERE held > row.most
RETURN row.source, row.name, held, row.most LIMIT 1
