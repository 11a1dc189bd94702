"""The Neo4j store: the only package that imports its driver.

In: Cypher with parameters, plans. Out: plain values.

    store       one driver; reads, one-transaction writes, its errors translated
    statements  the standing statements of `cypher/`, by name
    quoting     identifiers quoted, by the one function that may put a name into Cypher
    ddl         a GraphPlan applied with a ledger
    select/     the tree a query becomes, its cost, its Cypher
    rollup      what a column says of each minute, hour, day, kept beside it
    records     Neo4j's values → JSON's
    typed       nodes of the graph → frozen values
    values      DTDL value ↔ what Neo4j stores, one row a schema
    segment     segments of history, as long as their times

The keys of a segment begin with `_` (`_from`, `_to`, `_n`, `_dt`), unlike the first sketch's: `from`, `to` and `n` are
good DTDL names and would have clashed. A read asks for one record of nested lists: a record costs the driver 160 µs.
"""
