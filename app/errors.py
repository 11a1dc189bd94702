"""Every error a user can meet. Each says what, where, and the way out.

TwingraphError
├── SettingError         a setting does not fit
├── StackError           a local service cannot start or has died
├── ModelError           DTDL does not compile (carries its problems)
├── Unavailable          something needed is away for now
│   ├── StoreUnavailable     the database
│   └── IdentityUnavailable  who asks cannot be found out
├── StoreError           the database refuses or is away
│   ├── StoreTimeout         the read took longer than allowed
│   ├── Malformed            a node of the graph is not as this server writes it
│   ├── StoreRefused         the database serves others, but ends the connection over this
│   └── ValueRefused         a value that the database cannot take
├── TwinError            a twin, property or relationship is not as the model says
│   ├── NotFound
│   └── Conflict             an etag or an identifier is taken
│       └── IdentifierTaken      by a uniqueness constraint; a StoreError, too
├── MappingError         a mapping names what does not exist
├── MessageError         a message cannot become readings
├── Unauthenticated      nobody knows who asks
├── Forbidden            who asks may not do this
├── Busy                 who asks has asked too much
├── TooLarge             a request is longer than allowed
├── BadRequest           a request is not as its endpoint is described
├── QueryError           a question, or a part of one, cannot be answered as it is put
├── CommandError         a command is refused, unanswered or failed
└── PredictionError      not enough history, no trained model
"""

import difflib
from collections.abc import Iterable
from typing import Any


class TwingraphError(Exception):
    """`code` is stable and machine-readable; `where` names file, path or twin; `hint` the way out."""

    code = "INTERNAL"

    def __init__(self, what: str, *, where: str = "", hint: str = "", code: str | None = None) -> None:
        super().__init__(what)
        self.what, self.where, self.hint = what, where, hint
        self.code = code or type(self).code

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f" ({self.hint})" if self.hint else "")

    def extensions(self) -> dict[str, Any]:
        """What GraphQL and REST show beside the message."""
        shown = {"code": self.code, "where": self.where, "hint": self.hint}
        return {key: value for key, value in shown.items() if value}


class SettingError(TwingraphError):
    code = "SETTING_INVALID"


class StackError(TwingraphError):
    code = "STACK_FAILED"


MOST_SHOWN = 100


class ModelError(TwingraphError):
    code = "MODEL_INVALID"

    def __init__(self, what: str, *, problems: tuple[Any, ...] = (), **kwargs: Any) -> None:
        super().__init__(what, **kwargs)
        self.problems = problems

    def __str__(self) -> str:
        more = len(self.problems) - MOST_SHOWN
        rest = [f"  … and {more} more"] if more > 0 else []
        return "\n".join([super().__str__(), *(f"  {problem}" for problem in self.problems[:MOST_SHOWN]), *rest])

    def extensions(self) -> dict[str, Any]:
        return {**super().extensions(), "problems": [str(problem) for problem in self.problems[:MOST_SHOWN]]}


class StoreError(TwingraphError):
    code = "STORE_FAILED"


class Unavailable(TwingraphError):
    """Something needed is away for now: what is under way waits and is tried again."""


class StoreUnavailable(StoreError, Unavailable):
    code = "STORE_UNAVAILABLE"


class StoreTimeout(StoreError):
    code = "STORE_TIMEOUT"


class Malformed(StoreError):
    code = "GRAPH_MALFORMED"


class StoreRefused(StoreError):
    code = "STORE_REFUSED"


class ValueRefused(StoreError):
    code = "BAD_USER_INPUT"


class TwinError(TwingraphError):
    code = "TWIN_INVALID"


class NotFound(TwinError):
    code = "NOT_FOUND"


class Conflict(TwinError):
    code = "CONFLICT"


class IdentifierTaken(Conflict, StoreError):
    """A uniqueness constraint has refused it: a Conflict for who asked, a StoreError for who stores."""


class Unauthenticated(TwingraphError):
    code = "UNAUTHENTICATED"


class Forbidden(TwingraphError):
    code = "FORBIDDEN"


class Busy(TwingraphError):
    code = "RATE_LIMITED"


class BadRequest(TwingraphError):
    code = "BAD_REQUEST"


class TooLarge(TwingraphError):
    code = "TOO_LARGE"


class IdentityUnavailable(Unavailable):
    code = "IDENTITY_UNAVAILABLE"


class MappingError(TwingraphError):
    code = "MAPPING_INVALID"


class MessageError(TwingraphError):
    code = "MESSAGE_INVALID"


class QueryError(TwingraphError):
    code = "BAD_USER_INPUT"


class CommandError(TwingraphError):
    code = "COMMAND_FAILED"


class PredictionError(TwingraphError):
    code = "PREDICTION_IMPOSSIBLE"


def nearest(name: str, names: Iterable[str], otherwise: str = "", cutoff: float = 0.6) -> str:
    """A hint: the known name that is most alike, or `otherwise`."""
    close = difflib.get_close_matches(name[:100], list(names), 1, cutoff)
    return f"did you mean {close[0]!r}?" if close else otherwise
