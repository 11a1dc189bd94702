"""The command `twingraph`: a module a group of subcommands.

In: arguments, settings. Out: text on standard output, errors on standard error with exit code 1, usage errors with 2.

    main         demo, serve, ingest, gateway, fleet, stack, predict, …; what every command shares
    models       check, load, list, diff, migrate, delete, docs, new
    twins        create, show, export, import
    history      export, import, forget
    keys         create, list, rotate, revoke, mosquitto
    sources      list, stop, start, reload
    deadletters  list, show, fix, replay
    graphql      schema, explain
    opcua        browse

Modules of other packages are imported inside the commands, so that `--help` answers at once.
"""
