"""Segments of history as readers may rely on them: each column as long as its times. Others are passed over and told."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.graph.typed import passed_over

Segment = Mapping[str, Any]


def sound(segments: Iterable[Segment]) -> Iterator[Segment]:
    for segment in segments:
        problem = fault(segment)
        if problem:
            passed_over("segment", str(segment.get("_from")), problem)
        else:
            yield segment


def fault(segment: Segment) -> str:
    """What is wrong with it; empty for a sound one."""
    shared = segment.get("_dt")
    if type(segment.get("_from")) is not int or not are_offsets(shared):
        return "_from or _dt"
    if type(segment.get("_received", 0)) is not int:
        return "_received"
    for name, values in segment.items():
        if name[0] != "_":
            offsets = segment.get(f"_dt_{name}", shared)
            if type(values) is not list or not are_offsets(offsets) or len(values) != len(offsets):
                return name
    return ""


def are_offsets(given: Any) -> bool:
    """A list of Neo4j holds values of one kind."""
    return type(given) is list and (not given or type(given[0]) is int)
