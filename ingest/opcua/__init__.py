"""OPC UA: subscriptions, alarms, methods, and what a server has. Source: OPC 10000-4 (services).

In: a mapping's options. Out: readings, alarms, answers to commands.

    source   the source: sessions, subscriptions, readings
    options  typed options
    session  a connection: security, resumed sessions, republishing
    nodes    which nodes are subscribed
    pages    answers in pages, each reading with a bound
    alarms   events → alarms
    methods  commands → methods and writes
    survey   a server's address space → proposed models and mapping
"""
