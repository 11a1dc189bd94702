"""Buckets in local time, on the days a zone has 23 and 25 hours."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.graph.select.tree import param
from app.graphql.compile.columns import build_history
from app.graphql.compile.select import HistoryForm

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = 60_000


def buckets(day: datetime, hours: int, every: int, fill: str = "none") -> list[dict[str, Any]]:
    """One point every five minutes of a day of so many hours."""
    start = round(day.timestamp() * 1000)
    times = range(start, start + hours * 60 * MINUTE, 5 * MINUTE)
    segment = [start, [at - start for at in times], [1.0] * len(times)]
    keys = [("at", "at"), ("count", "count")]
    form = HistoryForm(param(start), param(start + hours * 60 * MINUTE), param(every), "avg", fill, BERLIN, keys)
    return build_history(form, [None, [segment], None], {})


@pytest.mark.parametrize("fill", ["none", "null"])
@pytest.mark.parametrize(
    ("day", "hours", "every", "count", "points"),
    [
        (datetime(2024, 10, 27, tzinfo=BERLIN), 25, 15 * MINUTE, 100, {3}),
        (datetime(2024, 10, 27, tzinfo=BERLIN), 25, 60 * MINUTE, 25, {12}),
        (datetime(2024, 3, 31, tzinfo=BERLIN), 23, 60 * MINUTE, 23, {12}),
        (datetime(2024, 10, 27, tzinfo=BERLIN), 25, 1440 * MINUTE, 1, {300}),
        (datetime(2024, 3, 31, tzinfo=BERLIN), 23, 1440 * MINUTE, 1, {276}),
        (datetime(2024, 10, 27, tzinfo=BERLIN), 25, 360 * MINUTE, 4, {72, 84}),
    ],
)
def test_no_point_is_lost(day: datetime, hours: int, every: int, count: int, points: set[int], fill: str) -> None:
    found = buckets(day, hours, every, fill)
    starts = [bucket["at"] for bucket in found]
    assert starts == sorted(set(starts))
    assert len(found) == count
    assert {bucket["count"] for bucket in found} == points
    assert starts[0] == day.astimezone(UTC).isoformat(timespec="milliseconds")
