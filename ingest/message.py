"""What a source hands to the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """`payload` is bytes, or already fields; `time` the time of measure in epoch ms where the protocol carries one;
    `receipt` what the source needs to acknowledge it; `received` when it came [epoch ms], where that is not now."""

    address: str
    payload: bytes | Mapping[str, Any]
    time: int | None = None
    receipt: Any = None
    received: int | None = None
