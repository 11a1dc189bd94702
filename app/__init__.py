"""The map of the house.

    main.py       opens the rooms bottom-up and joins them; the only file that knows all
    demo.py       `make demo`: the whole stack on one machine
    keeper.py     what a running stack is looked after with: disk, database, devices of the broker
    cli.py        the command `twingraph`
    server.py     what one server process holds
    settings.py   one table: name, default, help
    errors.py     the tree of errors, drawn at the top
    metrics.py    every counter, by name
    clock.py      the wall clock: jumps, and what lies beyond it
    disk.py       room on the disk
    logs.py       one JSON object a line
    dtdl/         the compiler: syntax → resolve → check → catalog → lower. Pure
    graph/        the Neo4j store, the only room that imports its driver: store, statements, ddl, select, cost, cypher, past,
                  records, typed, segment
    twins/        the domain: registry, sound, directory, series, write (the one way to change the graph), history, watch,
                  alarms, jobs
    identity/     who asks and what they may see: policy, keys, tokens, logins, gate
    commands/     issue, outlet
    predict/      windows, features, hazard, train, score, runner
    simulate/     the fleet that stands in for hardware
    report/       Cypher reports
    stack/        the local services: Java runtime, jars by checksum, Neo4j, broker and its accounts, supervisor, doors
    http/         what every request passes: protocol (limits of connections), entrance (who asks, bodies), workers, statuses
    graphql/      door: types, select, shape, plan, execute, mutation, subscription, router
    rest/         door: models up, twins, commands, health, pages
    ../ingest/    doors for devices: mapping, match, assemble, pipeline, mqtt, opcua, replay
    ../cypher/    standing statements, one a file, by room
    ../dtdl_models/  our DTDL, by domain

An arrow means "imports"; nothing points up:

                        app.main, app.demo
    graphql   rest   ingest                     doors
    http                                        what they share
    identity  commands  predict  simulate  report   work
                        twins                   domain
                        graph                   store
                        dtdl                    compiler
                settings · errors · metrics · clock · disk     ground

Rooms that are still to come have their place: `clocks` on the ground; `sync`, `optimise`, `decide` and `workflow` beside
`commands`; `console` beside `graphql`. `predict` and `ingest` take the fleet's layout from `simulate`, as they would take a
plant's from its asset register.
"""
