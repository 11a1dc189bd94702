// What the sources of one process do, and what is wished of them. $worker, $rows: [{source, properties}]
UNWIND $rows AS row
MERGE (s:_Source {id: row.source + '@' + $worker})
SET s += row.properties, s.source = row.source, s.worker = $worker, s.at = datetime()
WITH row
OPTIONAL MATCH (w:_Wish {source: row.source})
RETURN row.source, coalesce(w.stopped, false), coalesce(w.reload, 0)
