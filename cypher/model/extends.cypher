// Draws inheritance between interfaces. $rows: [{dtmi, extends}]
UNWIND $rows AS row
MATCH (i:_Interface {dtmi: row.dtmi})
UNWIND row.extends AS base
MATCH (b:_Interface {dtmi: base})
MERGE (i)-[:_EXTENDS]->(b)
