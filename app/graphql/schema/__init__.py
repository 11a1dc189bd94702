"""Models → the types, fields and arguments of a GraphQL schema.

In: a Catalog. Out: graphql-core types with their origins in the graph.

    names    how models become GraphQL names, and what happens when two clash
    scalars  DateTime, Duration, Long, …: one row each
    values   DTDL schema → scalars, enums, objects, as output and as input
    origin   what a field of the schema reads in the graph; types, select and shape share nothing else
    filters  where and orderBy: input types grown from the fields
    types    Catalog → graphql-core types of twins, connections, aggregates, readings
    roots    the fields of Query
"""
