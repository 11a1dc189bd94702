"""History of telemetry in segments: what is written, joined, rolled up and forgotten.

In: readings in columns. Out: segments of the graph, the fewer and longer the older.

    series      points of one twin, in columns
    read        segments → the points of a span
    buckets     points and roll-ups → minutes, hours, days, in local time too
    compaction  small segments joined into long ones with roll-ups, in the background
    retention   how long points and roll-ups are kept

The format of a segment is the graph's (app.graph.segment, app.graph.rollup).
"""
