"""What every HTTP endpoint shares: limits on a connection, who asks, how much at once, what an error becomes.

In: bytes of anybody. Out: requests of a known identity with a bounded head and body, or a refusal.

    protocol   uvicorn's HTTP/1.1 with limits on heads, idle clients and connections
    entrance   identity first, then the body, as large as the role may send; headers that browsers heed
    workers    threads that serve clients in turn, each operation within its deadline
    statuses   error → HTTP status
    pages      the explorer and Swagger UI, from WebJars
    explorer   GraphiQL

A request passes them in this order. The HTTP push source of `ingest` uses `protocol` and `statuses`, too."""
