"""The GraphQL endpoint: a schema grown from the models; queries compiled to Cypher, not resolved field by field.

In: GraphQL over HTTP, WebSocket (graphql-transport-ws) and server-sent events. Out: JSON. In order of control flow:

    schema/   models → the types of the schema
    compile/  query → plan: Cypher, parameters, the shape of the answer
    resolve/  what is not compiled: mutations, commands, subscriptions, jobs
    answer/   request → answer
    router    transports, identity, one schema generation swapped for another

One query through it: `{ turbines(first: 2) { name hasComponent { healthScore } } }` becomes Root(Turbine, Many(Scope(Value
name, Related(hasComponent, Scope(Value healthScore))))), that one Cypher statement with one record, that
`[{"name": r[0], "hasComponent": [{"healthScore": s[0]} for s in r[1]]} for r in rows]`, that JSON. `twingraph graphql
explain QUERY` shows each step.

Names: type = label; an interface that others extend is a GraphQL interface, and twins of exactly that model are of type
`<Label>Twin`. Enums and objects are `<Label><Content>`, after the interface that declares them. The reverse of relationship
`feeds` is `feedsOf`. Beside relationship `r` stand `rConnection` and `rAggregate`, beside telemetry `s` stands `sReading`.
A content that bears a name of the system (`dtId`, `model`, `etag`, …: names.SYSTEM_FIELDS) gets a `_` at its end, which no
DTDL name has; where a name that is grown is taken, the grown one gets it.

Access: a request may see a part of the graph only (app.identity). The select tree carries over which relationships, which
models and what of them is hidden, the request carries from which twins; `app.graph.select.printer` prints the conditions
wherever a statement reaches a twin, a relationship or a key. A random query under a random key is tried against the same
query on a graph cut down to what the key sees (tests/graphql/test_differential.py).

Where plans differ from what one would write first, and why:
- A field's Emit is made once for all types that share the field, and `__typename` of an abstract type is looked up from the
  twin's model: else each level of nested interfaces multiplies the plan by the number of types.
- The transports (Starlette's and Strawberry's layers, one extension run after another) cost 0.4 ms a request, more than a point
  query's plan, parameters and JSON together; `direct` answers what it knows, and whatever it doubts goes the stock way.
- History is read from roll-ups where a segment lies in the window whole, from points at the edges and for first, last, stddev.
- Neo4j explains a plan once before it runs: the counts behind our own estimate may be a minute old.
- Reads use one session a thread (0.41 instead of 0.75 ms CPU a read, bare driver) and a pool of their own.
- A conversion that goes with the value (cursor, epoch, bounds) is a Param's, so that one plan serves every value.
"""
