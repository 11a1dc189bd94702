"""What happened to twins: alarms, and changes as they are seen.

In: a twin or a moment. Out: alarms; what has changed.

    alarms  alarms of the graph, newest first or since a moment
    watch   changes of twins, seen by asking the graph, so that it works with many processes
"""
