"""The domain: twins, their models, and the one way to change the graph.

In: models as documents, telemetry as Series, patches, relationships, events. Out: changes in Neo4j, a Catalog, a feed.

    registry   models: compile → apply → publish; every process follows the generation
    directory  which twins there are and of which model, in memory
    series     points of one twin, in columns
    write      the one write path: check → one transaction (latest, segment, position) → then the source is acknowledged
    history    small segments joined into long ones with roll-ups, in the background
    retention  how long points and roll-ups are kept
    archive    history as Parquet, and back
    deadletters  messages set aside
    sources    what the sources of all ingest processes do, and what is wished of them
    changes    the feed that lives in memory: a new catalog
    watch      changes of twins, seen by asking the graph, so that it works with many processes

Tie rule: a series is a set keyed by time of measure; the value stored first stays, a later one for the same instant is
counted as a duplicate. Latest values follow the time of measure, never the arrival.
Telemetry does not move a twin's `_etag`: it guards properties, and readings would make every etag stale.
"""
