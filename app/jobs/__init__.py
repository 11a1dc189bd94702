"""Longer work in the background, with progress that any process can read.

In: documents, who asks. Out: a job, its progress and its end.

    imports  twins from documents
"""
