"""The Neo4j store: the only room that imports the driver.

In: Cypher with parameters, plans. Out: plain values.

    store       one driver; reads, one-transaction writes, errors made ours
    statements  the standing statements of `cypher/`, by name
    names       identifiers quoted, by the one function that may put a name into Cypher
    ddl         a GraphPlan applied with a ledger
    select      the tree a query becomes: what is asked of which twins
    rollup      what a column says of each minute, hour, day, kept beside it
    cypher      select tree → one statement and its parameters
    records     select tree → a function from the one record to nested dicts

The keys of a segment begin with `_` (`_from`, `_to`, `_n`, `_dt`), unlike the first sketch's: `from`, `to` and `n` are
good DTDL names and would have clashed. A read asks for one record of nested lists: a record costs the driver 160 µs.
"""
