"""Who asks, what they may do, and which part of the graph they may see.

In: the `Authorization` header of a request, or of a WebSocket's first message. Out: an Identity, or Unauthenticated.

    policy   roles, the table of actions, Identity
    keys     API keys: made, hashed, listed, revoked; nodes of the graph
    tokens   JSON Web Tokens of an OpenID Connect provider
    clients  rate and concurrency of each client, over every endpoint
    logins   failed logins of an address: counted, limited, logged
    gate     header → Identity; the twins an identity may see

A scope is a set of twins, `roots`, and relationships, `via`: whatever lies below a root over these is seen, nothing else.
A key bound to farm wf01 over contains and hasComponent sees the farm, its turbines and their components. The cut is part of
every compiled statement (app.graph.select), not a filter on its answer; what is outside is not there: NOT_FOUND, null, 0.
Rights narrow a key further, by model and name: twins of other models, and properties, signals, components and relationships
that are hidden, are not there either; what is changed and sent has lists of its own."""

from app.errors import Busy
from app.identity.clients import Clients
from app.identity.gate import Gate
from app.identity.policy import (
    ACTIONS,
    ROLES,
    Identity,
    Rights,
    allow,
    can,
    require_change,
    require_command,
    require_made,
    require_named,
)

__all__ = [
    "ACTIONS", "ROLES", "Busy", "Clients", "Gate", "Identity", "Rights", "allow", "can", "require_change", "require_command",
    "require_made", "require_named",
]  # fmt: skip
