"""Alarms as devices say them: whatever stands beside, what was accepted is seen."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from app.events import alarms as alarms_module
from app.events.alarms import alarms, all_alarms
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


@pytest.mark.parametrize("since", [None, datetime(2000, 1, 1, tzinfo=UTC)], ids=["opened", "since"])
def test_pages_miss_no_alarm_while_others_end(
    since: datetime | None, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(registry.store, registry.catalog, [NewTwin("paged", "Turbine")], [])
    made = (
        "MATCH (t:Twin {dtId: 'paged'}) UNWIND range(1, 9) AS n WITH t, n, datetime({epochSeconds: 1795874596 + n / 3}) AS at"
        " CREATE (t)-[:_EVENT]->(:_Event {id: 'paged-' + n, kind: 'alarm', code: 'c' + n, at: at, _recorded: at})"
    )
    registry.store.write(lambda tx: tx.run(made))
    monkeypatch.setattr(alarms_module, "MOST", 2)
    pages = all_alarms(registry.store, None, (), "paged", opened=True, since=since)
    told = [alarm.code for alarm in next(pages)]
    ended = "MATCH (e:_Event {id: 'paged-1'}) SET e.endedAt = e.at, e._recorded = datetime()"
    registry.store.write(lambda tx: tx.run(ended))
    told += [alarm.code for page in pages for alarm in page]
    assert sorted(told) == [f"c{n}" for n in range(1, 10)]
    registry.store.write(lambda tx: tx.run("MATCH (e:_Event) WHERE e.id STARTS WITH 'paged-' DETACH DELETE e"))
