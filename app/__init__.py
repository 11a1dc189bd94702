"""Twingraph's server: the map of its packages.

    main       opens the packages bottom-up and joins them; the only module that knows all
    demo       `make demo`: the whole stack on one machine
    keeper     what a running stack is looked after with: disk, database, devices of the broker
    server     what one server process holds
    settings   one table: name, default, help
    errors     the tree of errors, drawn at the top
    metrics    every counter, by name
    clock      the wall clock: jumps, and what lies beyond it
    disk       room on the disk
    logs       one JSON object a line
    cli/       the command `twingraph`, a module a group of subcommands
    dtdl/      the compiler: syntax → resolve → check → catalog → lower. Pure
    graph/     the Neo4j store, the only package that imports its driver
    history/   segments of telemetry: series, buckets, compaction, retention
    twins/     the domain: models, directory, and the two ways to change the graph: writes of sources, edits of clients
    events/    the feed of what has changed; alarms
    sources/   what sources do; dead letters
    jobs/      longer work with progress
    identity/  who asks and what they may see
    commands/  commands to devices
    predict/   health, failure time, confidence
    simulate/  the fleet that stands in for hardware, and the predictor's training on it
    report/    Cypher reports
    stack/     the local services: Java runtime, jars by checksum, Neo4j, broker, supervisor
    http/      what every request passes, and the pages
    graphql/   the GraphQL API
    rest/      the REST API
    ../ingest/    ingestion: mappings, payloads, the pipeline, a source for each protocol
    ../cypher/    standing statements, one a file, by package
    ../dtdl_models/  our DTDL, by domain

Nothing imports what stands above it (tests/docs/test_maps.py):

    demo  cli
    main  keeper
    graphql  rest  ingest
    server
    stack  http
    events  sources  jobs  identity  commands  report  predict  simulate
    twins
    history
    graph
    dtdl
    errors  settings  metrics  logs  clock  disk

Packages to come have their place: `sync`, `optimise`, `decide` and `workflow` beside `commands`, `console` beside `graphql`.
"""
