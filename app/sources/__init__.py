"""What the sources of all ingest processes do, kept in the graph, so that any process can tell and change it.

In: reports of ingest processes. Out: states, wishes for them, rejected messages.

    state        state, rates and errors of each source; whether it should run
    deadletters  messages that could not be stored, with the reason
"""
