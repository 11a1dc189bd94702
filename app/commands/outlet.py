"""What a protocol offers to `commands`: delivery of one command to one twin's device."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class CommandStatus(StrEnum):
    """Of a command: sent and unanswered, or how it ended."""

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"


ANSWERS = (CommandStatus.SUCCEEDED, CommandStatus.REFUSED, CommandStatus.FAILED)
ENDED = (*ANSWERS, CommandStatus.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Delivery:
    id: str
    dt_id: str
    command: str
    request: Any
    timeout: float


@dataclass(frozen=True, slots=True)
class Answer:
    status: CommandStatus  # one of ANSWERS
    response: Any = None
    reason: str | None = None


class Outlet(Protocol):
    def serves(self, dt_id: str) -> bool: ...

    async def send(self, delivery: Delivery) -> Answer | None:
        """Delivers; the answer where the protocol gives one at once, None where it comes in as a message.

        Raises: CommandError when it cannot be delivered."""
        ...
