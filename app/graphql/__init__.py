"""The GraphQL door: a schema grown from the models; queries compiled to Cypher, not resolved field by field.

In: GraphQL over HTTP and WebSocket. Out: JSON. In order of control flow:

    names       how models become GraphQL names, and what happens when two clash
    scalars     DateTime, Duration, Long, …: one row each
    types       Catalog → graphql-core types; each field carries its Origin, which says what it reads in the graph
    schema      the one adapter: Strawberry's static part and the grown types in one schema
    static      what does not grow from models: relate, invoke, command, models, …
    select      selection set → select tree (app.graph.select), with the variables left open
    shape       select tree → a generated function from the record to JSON
    history     segments → points or buckets
    plan        cache: (generation, query, operation) → plan; bind → run → shape
    execute     the Strawberry extension that answers compiled queries without the executor
    mutation    typed commands and property changes
    subscription  a twin's changes
    guards      tokens, depth, aliases
    explorer    GraphiQL from its WebJar
    router      HTTP and WebSocket, authentication, one schema generation swapped for another

One query through it: `{ turbines(first: 2) { name hasComponent { healthScore } } }` becomes Root(Turbine, Scope(Value
name, Related(hasComponent, Scope(Value healthScore)))), that one Cypher statement with one record, that
`[{"name": r[0], "hasComponent": [{"healthScore": s[0]} for s in r[1]]} for r in rows]`, that JSON.

Names: type = label; an interface that others extend is a GraphQL interface, and twins of exactly that model are of type
`<Label>Twin`. The reverse of relationship `feeds` is `feedsOf`. A content that bears a name of the system (`dtId`,
`model`, `etag`, `properties`, `signals`, `history`) gets a `_` at its end, which no DTDL name has.
"""
