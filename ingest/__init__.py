"""The doors for devices.

In: messages of any protocol. Out: batches on the one write path, then acknowledgements to the source.

    message    a message: where it came from, its address, its payload, its receipt
    mapping    the declarative file: addresses → twins and signals; validated, with clear errors
    match      address → route (twin, model, what kind), remembered per address
    unpack     compressed bodies → bytes
    decode     payload (JSON, CSV, MessagePack, CloudEvents) → records and times of measure
    units      unit → unit
    quality    what a source says of a value → Good, Uncertain, Bad
    certificates  TLS towards brokers
    admission  who may push over HTTP, and readings of which twins
    assemble   messages → one batch in columns; what does not fit is set aside with the reason
    pipeline   collect → assemble → commit → acknowledge; pauses and tries again while the database is away
    runner     the sources of one process: started, stopped, reloaded, each without the others
    gateway    sources → windows → spool → another Twingraph; no graph of its own
    spool      readings on disk until they are forwarded
    again      dead letters, once more
    sample     what messages would become, as text
    sources    SOURCES: protocol → source; a new protocol is a module and a row
    broker     a connection to an MQTT broker
    mqtt, sparkplug (with sparkplug_b, its payloads), opcua, modbus, kafka (with avro), kinesis, http   the sources
    nodes, session, alarms, methods, survey  of OPC UA: which nodes, how trusted, events, commands, what a server has
    lineprotocol  of HTTP push
    replay     a table into history

One message through it: `fleet/wf01/t003/gearbox/telemetry` matches `fleet/{farm}/{turbine}/{component}/telemetry`, so
its twin is `wf01-t003-gearbox`, a Gearbox; its fields become values in that twin's columns; after the commit the packet
is acknowledged. The shape of a message (names and types) is checked once and remembered; only enums, texts and whole
numbers are looked at value by value.
"""
