"""What is not compiled: fields with functions of their own.

In: arguments of a field, the request. Out: what the field says.

    static        what does not grow from models: relate, invoke, jobs, models, me, …
    mutation      typed twins, typed commands
    subscription  telemetry, alarms, commands
    changes       what enters, changes in and leaves a query, looked up once for all who ask the same
"""
