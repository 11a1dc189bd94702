"""A gateway: sources → windows → disk → another Twingraph; no graph of its own.

In: a plan and its mappings. Out: HTTP pushes, each until it is acknowledged.

    gateway  the run: sources in, windows closed, forwarded
    spool    readings on disk until they are forwarded
"""
