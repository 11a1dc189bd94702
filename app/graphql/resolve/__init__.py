"""What is not compiled: fields with functions of their own.

In: arguments of a field, the request. Out: what the field says.

    static        what does not grow from models: relate, invoke, jobs, models, me, …
    mutation      typed twins, typed commands
    subscription  changes of queries, telemetry, alarms, commands
"""
