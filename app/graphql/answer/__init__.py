"""A request → its answer.

In: a text, variables, the request. Out: data and errors.

    schema     the one adapter: Strawberry's static part and the grown types in one schema
    execute    the Strawberry extension that answers compiled queries without the executor
    direct     a query answered before, sent as JSON by POST: run without the transports' machinery
    persisted  operations known by their hash
    failures   errors as clients see them
    explain    plan, estimate and Cypher as text
"""
