"""Segments → the points of a span: for exports, for the predictor's bins, for whoever reads history outside of a query."""

from collections.abc import Container, Iterable
from typing import Any

import numpy as np

from app.graph.segment import Segment, columns, ordered


def points(segments: Iterable[Segment], signals: Container[str], start: int, end: int) -> dict[str, tuple[Any, Any]]:
    """Times [epoch ms] and values, as arrays, of each signal that has points in [start, end): ascending, each instant once,
    whatever the order of the segments and however they overlap."""
    pieces: dict[str, list[tuple[Any, Any]]] = {}
    for segment in segments:
        for signal, times, values in columns(segment):
            if signal in signals:
                pieces.setdefault(signal, []).append((times, values))
    found = {}
    for signal, parts in pieces.items():
        times, values = ordered(parts)
        inside = slice(*np.searchsorted(times, (start, end)))
        if inside.start < inside.stop:
            found[signal] = times[inside], values[inside]
    return found
