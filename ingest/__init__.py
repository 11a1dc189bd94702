"""Ingestion: what devices send, into the graph.

In: messages of any protocol. Out: batches on the one write path, then acknowledgements to the source.

    source     what a source is, and the messages it hands over
    sources    SOURCES: protocol → source; a new protocol is a module and a row
    mapping/   the declarative file: addresses → twins and signals
    payload/   bytes → records
    pipeline/  collect → assemble → commit → acknowledge
    mqtt, http, kafka, kinesis, modbus   sources of one module each
    opcua/     OPC UA
    sparkplug/  Sparkplug B
    gateway/   sources → windows → disk → another Twingraph
    replay     a table into history
    options    options of a protocol: typed, described, none unknown
    broker     a connection to an MQTT broker
    admission  who may push over HTTP, and readings of which twins
    certificates  TLS towards brokers
    backoff    pauses between tries

One message through it: `fleet/wf01/t003/gearbox/telemetry` matches `fleet/{farm}/{turbine}/{component}/telemetry`, so
its twin is `wf01-t003-gearbox`, a Gearbox; its fields become values in that twin's columns; after the commit the packet
is acknowledged. The shape of a message (names and types) is checked once and remembered; only enums, texts and whole
numbers are looked at value by value.
"""
