"""Alarms as devices say them: whatever stands beside, what was accepted is seen."""

import time
from typing import Any

import pytest

from app.events.alarms import alarms
from app.twins.directory import Directory
from app.twins.edit import NewTwin, ensure
from app.twins.registry import Registry
from app.twins.write import append
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.mapping.match import Matcher
from ingest.pipeline.assemble import Assembler
from ingest.source import Message

ODD: list[dict[str, Any]] = [
    {"text": 17},
    {"text": True, "severity": 3},
    {"severity": 2.5},
    {"endedAt": 1_795_874_596_807},
    {"endedAt": "2020-01-01T00:00:00Z", "at": 5, "id": 7, "dtId": "other", "kinds": ["x"]},
]


@pytest.mark.parametrize("beside", ODD, ids=lambda one: "-".join(one))
def test_an_accepted_alarm_is_seen(beside: dict[str, Any], registry: Registry) -> None:
    ensure(registry.store, registry.catalog, [NewTwin("alarmed", "Turbine")], [])
    mapping = SourceMapping(source="a", protocol="mqtt", rules=(Rule(match="{unit}", twin="{unit}", kind="event"),))
    assembler = Assembler("a", registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
    code = f"c-{'-'.join(beside)}"
    made = assembler.assemble([Message("alarmed", {"ts": time.time(), "kind": "alarm", "code": code, **beside})])
    assert made.batch.deadletters == []
    append(registry.store, made.batch)
    (alarm,) = [one for one in alarms(registry.store, None, (), "alarmed") if one.code == code]
    assert alarm.ended_at is None
    assert alarm.text == (str(beside["text"]) if "text" in beside else None)
