"""How points lie in a segment of history, for whoever writes or reads one.

    _from, _to   epoch ms of the first and the last point        _n         instants of the longest column
    power        the values of a signal                          _dt        when they were measured, in ms from _from
    _dt_power    the same of this signal alone, where its times differ
    _10m_power   roll-ups of a column (`rollup`)                 _received  epoch ms of the newest message in it
    _only        signals of which roll-ups alone are kept

What Cypher needs of it is in `cypher` and in `cypher/history/`. Readers may rely on each column being as long as its times:
segments of which that does not hold are passed over and told."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from app.graph.rollup import rolled
from app.graph.typed import passed_over

Segment = Mapping[str, Any]
Times = list[int] | Any  # or an array of int64


def own_times(signal: str) -> str:
    """The key of a signal's times, where they are not those of the others."""
    return f"_dt_{signal}"


def signals(segment: Segment) -> Iterator[str]:
    return (key for key in segment if key[0] != "_")


def times(segment: Segment, signal: str) -> list[int]:
    """When a signal's values were measured [epoch ms]."""
    first = segment["_from"]
    return [first + offset for offset in segment.get(own_times(signal), segment["_dt"])]


def instants(segment: Segment, signal: str) -> Any:
    """As `times`, as an array of int64: for long segments."""
    return np.asarray(segment.get(own_times(signal), segment["_dt"]), np.int64) + segment["_from"]


def columns(segment: Segment) -> Iterator[tuple[str, Any, Any]]:
    """Of each signal its name, its times as `instants`, its values."""
    shared = np.asarray(segment["_dt"], np.int64) + segment["_from"]
    for signal in signals(segment):
        yield signal, instants(segment, signal) if own_times(signal) in segment else shared, segment[signal]


def compose(
    first: int,
    last: int,
    shared: Times,
    columns: Mapping[str, Sequence[Any]],
    own: Mapping[str, Times],
    received: int = 0,
) -> dict[str, Any]:
    """The properties of a segment. `shared`: times [epoch ms] of all columns but those named in `own`."""
    segment: dict[str, Any] = {"_from": first, "_to": last, "_n": max(map(len, (shared, *own.values())))}
    segment["_dt"] = _since(first, shared)
    for signal, at in own.items():
        segment[own_times(signal)] = _since(first, at)
    if received:
        segment["_received"] = received
    segment.update(columns)
    for signal, values in columns.items():
        segment.update(rolled(signal, own.get(signal, shared), values))
    return segment


def _since(first: int, at: Times) -> list[int]:
    return [time - first for time in at] if isinstance(at, list) else (at - first).tolist()


def ordered(parts: Sequence[tuple[Any, Sequence[Any]]]) -> tuple[Any, Any]:
    """Times and values of one signal from several segments: ascending, each instant once."""
    at, values = np.concatenate([at for at, _ in parts]), np.concatenate([_array(values) for _, values in parts])
    if len(at) > 1 and not (np.diff(at) > 0).all():
        at, order = np.unique(at, return_index=True)
        values = values[order]
    return at, values


def _array(values: Sequence[Any]) -> Any:
    return np.asarray(values, object) if len(values) and isinstance(values[0], str) else np.asarray(values)


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
            offsets = segment.get(own_times(name), shared)
            if type(values) is not list or not are_offsets(offsets) or len(values) != len(offsets):
                return name
    return ""


def are_offsets(value: Any) -> bool:
    """A list of Neo4j holds values of one kind."""
    return type(value) is list and (not value or type(value[0]) is int)
