"""Commands to devices: recorded in the graph before they are sent, answered there, looked up there.

In: a twin, a command's name, a request. Out: the device's own answer, or what became of the command.

    issue   check the request against the model → record → send → wait for the answer
    outlet  what a protocol must offer to deliver a command (a type; `ingest` has the real ones)

The correlation id is the event's id. The record and its answer live in Neo4j, so a reply may come in by another process
than the one that sent the command: a waiting caller looks at the graph. The first answer stands.
"""
