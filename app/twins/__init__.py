"""The domain: twins, their models, and the one way to change the graph.

In: models as documents, telemetry as Series, patches, relationships, events. Out: changes in Neo4j, a Catalog, a feed.

    registry   models: compile → apply → publish; every process follows the generation
    directory  which twins there are and of which model, in memory
    edit       twins and relationships created, changed, deleted, each checked against its model
    write      the one write path of sources: one transaction (latest, segment, position), then the acknowledgement
    sound      stored models → those that can be used together, and why not the others
    exchange   twins and relationships as Azure Digital Twins writes them
    migrate    twins from one version of a model to another
    archive    history as Parquet, and back
    fresh      points that are new since a moment
    changes    the feed that lives in memory: a new catalog

Tie rule: a series is a set keyed by event time; the value stored first stays, a later one for the same instant is
counted as a duplicate. Latest values follow the event time, never the arrival.
Telemetry does not move a twin's `_etag`: it guards properties, and readings would make every etag stale.
"""
