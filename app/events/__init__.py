"""What happened to twins: alarms, and changes as they are seen.

In: a twin or a moment. Out: alarms; what has changed.

    feed    the one reader of what has changed, by any process, for everything in this one that listens
    alarms  alarms of the graph, newest first or since a moment
"""
