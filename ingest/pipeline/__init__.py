"""Messages → committed, then acknowledged. It never asks which protocol it serves.

In: messages of a source. Out: batches on the one write path, acknowledgements, dead letters.

    assemble      messages → one batch in columns; what does not fit is rejected with the reason
    pipeline      collect → assemble → commit → acknowledge; pauses and tries again while the database is away
    managed       the sources of one process: started, stopped, reloaded, each without the others
    housekeeping  compaction, retention and the trimming of dead letters beside them
    redelivery    dead letters, once more
    sample        what messages would become, as text
"""
