"""A query → one Cypher statement and the function that makes JSON of its record.

In: a text, variables, what the request may see. Out: a plan; its answer.

    documents      texts → validated documents, remembered
    guards         limits on tokens, depth and aliases, before validation
    kept           a cache bounded by what its entries weigh
    collect        the fields of a selection, as the specification collects them
    variables      variables left open, and the converters their values pass
    conditions     arguments → predicates, orders, hops
    cursor         where a row stands in an order, as text
    select         selection set → select tree (app.graph.select.tree) and the form of the answer
    shape          form → a generated function from the record to JSON
    columns        segments → points, buckets or columns
    introspection  the schema's own questions, compiled too
    plan           cache: (generation, query, operation, access) → plan; estimate; bind → run → shape
"""
