"""F39: a graph found in any state: empty, half-loaded, of a newer layout, changed by hand. Readers cope, or say what is so."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.commands.issue import get_command
from app.errors import StoreError, TwingraphError
from app.events.alarms import alarms
from app.graph.statements import statement
from app.graph.store import Store
from app.history.series import Series
from app.identity import keys
from app.jobs.imports import find_job
from app.main import make_app
from app.predict.windows import Windows
from app.report import run_report
from app.settings import Settings
from app.sources.deadletters import listed
from app.sources.state import report, source_states
from app.stack.child import Child
from app.twins import archive, exchange
from app.twins.directory import Directory
from app.twins.edit import NewRelationship, NewTwin, create, patch, unrelate
from app.twins.fresh import Told, fresh
from app.twins.migrate import migrate
from app.twins.registry import Registry, read_models
from app.twins.write import Batch, Event, Position, Quality, append, positions_of
from tests.conftest import ROOT, twingraph, wipe

NOW = round(datetime.now(UTC).timestamp() * 1000)
QUERIES = (
    """{ turbines { dtId model etag lastMeasured lastReceived name power powerReading { value at age stale quality }
      operatingState signals { name value at quality } properties containsOf { dtId } hasComponent { __typename dtId }
      history(signal: "power") { at value } series(signals: ["power"], every: "PT1H") { epochs values avg }
      containsOfConnection { edges { id since node { dtId } } } } }""",
    "{ twins { __typename dtId model properties signals { name value } descendants { dtId } ancestors { dtId } } }",
    "{ assets(orderBy: [{ name: ASC }]) { __typename dtId name } turbinesAggregate { count power { avg } name { distinct } } }",
    "{ turbinesGroups(by: [operatingState], via: containsOf) { keys count twin { dtId } } }",
    """query ($at: DateTime!) { turbines(asOf: $at) { dtId name power powerReading { at } properties containsOf { dtId } } }""",
    "{ alarms { id code at endedAt severity } sources { source state since at } models { dtmi label } modelsLeftOut { dtmi } }",
    '{ shortestPath(from: "t1", to: "wf") { length twins { dtId } steps { relationship id } } }',
)
OTHER: tuple[Any, ...] = ("x", -1, [1, 2], 1.5e300, True)


def fill(registry: Registry) -> None:
    """Something of everything that the server writes."""
    store, catalog = registry.store, registry.catalog
    create(store, catalog, [NewTwin("wf", "WindFarm"), NewTwin("t1", "Turbine", {"name": "One", "maintenanceNote": "a"})])
    links = [NewRelationship("wf", "contains", "t1"), NewRelationship("t1", "hasComponent", "g1")]
    create(store, catalog, [NewTwin("g1", "Gearbox", {"name": "Gear"})], links)
    patch(store, catalog, "t1", {"maintenanceNote": "b"})
    unrelate(store, NewRelationship("wf", "contains", "t1"))
    create(store, catalog, [], [NewRelationship("wf", "contains", "t1")])
    for start in (0, 400_000):
        times = [NOW - 900_000 + start + i * 1000 for i in range(300)]
        columns: dict[str, list[Any]] = {"power": [float(i) for i in range(300)], "operatingState": ["running"] * 300}
        series = Series("t1", times, columns, {"power": 299.0, "operatingState": "running"}, received=NOW)
        gear = Series("g1", times, {"vibrationMean": [1.0] * 300}, {"vibrationMean": 1.0})
        event = Event("t1", f"e{start}", "alarm", {"code": "hot", "at": datetime.now(UTC), "severity": "high"})
        quality = Quality("t1", "power", "Uncertain", NOW - start)
        append(store, Batch([series, gear], [event], positions=[Position("s", "0", 5)], qualities=[quality]))
    letter = {"source": "s", "topic": "t", "code": "C", "reason": "r", "payload": b"x", "size": 1, "received": NOW, "time": NOW}
    append(store, Batch(deadletters=[letter]))
    report(
        store, "host:1", [{"source": "s", "properties": {"protocol": "mqtt", "state": "RUNNING", "since": datetime.now(UTC)}}]
    )
    store.run(statement("job/start"), id="j1", kind="import", total=3)
    store.run(statement("command/issue"), dtId="t1", id="c1", properties={"command": "stop", "request": '"x"', "timeout": 1.0})
    keys.create(store, keys.Grant("k", "reader", ("wf",), ("contains",)), datetime.now(UTC) + timedelta(days=1))


@pytest.fixture(scope="module")
def whole(registry: Registry) -> Iterator[Registry]:
    fill(registry)
    yield registry
    wipe(registry.store)


@pytest.fixture(scope="module")
def readers(whole: Registry, settings: Settings, broker: Child, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Every reader of the graph, by name; what they answer is not looked at."""
    store, folder = whole.store, tmp_path_factory.mktemp("archive")
    app = make_app(settings)
    key = keys.create(store, keys.Grant("other", "reader"))
    reports = sorted(path.stem for path in (ROOT / "cypher" / "report").glob("*.cypher"))
    catalog = whole.catalog
    made: dict[str, Callable[[], Any]] = {
        "registry": lambda: Registry(store),
        "directory": lambda: Directory(store).get("t1"),
        "keys": lambda: (keys.listed(store), keys.find(store, key)),
        "alarms": lambda: (alarms(store, None, ()), alarms(store, None, (), since=datetime.now(UTC) - timedelta(days=1))),
        "sources": lambda: (source_states(store), report(store, "host:1", [{"source": "s", "properties": {}}])),
        "jobs": lambda: find_job(store, "j1"),
        "deadletters": lambda: listed(store),
        "commands": lambda: get_command(store, "c1"),
        "exchange": lambda: list(exchange.export(store, catalog)),
        "archive": lambda: archive.export(store, catalog, folder, "Turbine"),
        "fresh": lambda: fresh(store, "t1", Told({"power": NOW - 10**7}, NOW - 10**7, NOW), NOW),
        "positions": lambda: positions_of(store, "s"),
        "migrate": lambda: migrate(store, catalog, "Turbine", "Turbine", dry=True),
        "windows": lambda: Windows().read(store, catalog.labels),
        "late": lambda: append(store, Batch([Series("t1", [NOW - 950_000], {"power": [1.0]}, {"power": 1.0})])),
        "append": lambda: append(store, Batch([Series("t1", [NOW + 1], {"power": [1.0]}, {"power": 1.0}, received=NOW)])),
        **{f"report {name}": lambda name=name: run_report(store, name) for name in reports},  # type: ignore[misc]
    }
    yield made, app
    app.state.server.store.close()


def properties(store: Store) -> list[tuple[str, str, str]]:
    """A node of each label, by its id, with each of its keys."""
    rows = store.read(
        """MATCH (n) WITH n ORDER BY elementId(n) UNWIND labels(n) AS label
        WITH label, n WHERE label STARTS WITH '_' OR label IN ['Turbine', 'WindFarm']
        WITH label, collect(n) AS all UNWIND [all[0], all[-1]] AS n WITH DISTINCT label, n UNWIND keys(n) AS key
        RETURN label, elementId(n), key ORDER BY label, key"""
    )
    return [(label, identifier, key) for label, identifier, key in rows]


def failures(readers: dict[str, Callable[[], Any]]) -> list[str]:
    found = []
    for name, read in readers.items():
        try:
            read()
        except TwingraphError:
            continue
        except Exception as error:  # noqa: BLE001 - what the test is about
            at = error.__traceback__
            while at is not None and at.tb_next is not None:
                at = at.tb_next
            place = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at else ""
            found.append(f"{name}: {type(error).__name__} {error} {place}")
    return found


async def internal(app: Any, token: str) -> list[str]:
    headers = {"Authorization": f"Bearer {token}"}
    found = []
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test", headers=headers
    ) as http:
        for query in QUERIES:
            moment = datetime.fromtimestamp(NOW / 1000 - 300, UTC).isoformat()
            answer = await http.post("/graphql", json={"query": query, "variables": {"at": moment} if "$at" in query else {}})
            errors = answer.json().get("errors", ())
            found += [f"{query[:60]}: {error}" for error in errors if error["extensions"]["code"] != "BAD_USER_INPUT"]
        for path in ("/api/twins/t1", "/api/models", "/health/ready", "/api/commands/c1"):
            answer = await http.get(path)
            found += [f"{path}: {answer.text[:200]}"] if answer.status_code >= 500 else []
    return found


@pytest.mark.timeout(600)
async def test_F39_any_property_may_be_missing_or_another(whole: Registry, readers: Any, secured: Settings) -> None:
    store, (reads, app) = whole.store, readers
    assert failures(reads) == []
    assert await internal(app, secured.token) == []
    bad = {}
    for number, (label, identifier, key) in enumerate(properties(store)):
        ((before,),) = store.read("MATCH (n) WHERE elementId(n) = $id RETURN n[$key]", {"id": identifier, "key": key})
        for other in (None, OTHER[number % len(OTHER)], OTHER[(number + 2) % len(OTHER)]):
            try:
                store.run("MATCH (n) WHERE elementId(n) = $id SET n += $set", id=identifier, set={key: other})
            except StoreError:
                continue
            found = failures(reads) + await internal(app, secured.token)
            if found:
                bad[f"{label}.{key} = {other!r}"] = found
            try:
                store.run("MATCH (n) WHERE elementId(n) = $id SET n += $set", id=identifier, set={key: before})
            except StoreError:
                continue
    assert bad == {}


@pytest.fixture
def bare(registry: Registry) -> Iterator[Store]:
    """An empty graph; our models are loaded again afterwards."""
    wipe(registry.store)
    yield registry.store
    wipe(registry.store)
    Registry(registry.store).load(read_models([ROOT / "dtdl_models"]))


def test_F39_an_empty_graph(bare: Store, readers: Any) -> None:
    assert failures(readers[0]) == []
    assert Registry(bare).catalog.interfaces == {}


def test_F39_the_generation_is_missing_or_there_twice(bare: Store) -> None:
    Registry(bare).load(read_models([ROOT / "dtdl_models"]))
    bare.run("MATCH (g:_Catalog) DELETE g")
    again = Registry(bare)
    assert len(again.catalog.interfaces) == 14
    bare.run("CREATE (:_Catalog {generation: 4}), (:_Catalog {generation: 'x'}), (:_Catalog)")
    assert again.refresh()
    assert len(again.catalog.interfaces) == 14
    again.changed()
    assert (again.catalog.generation, Registry(bare).catalog.generation) == (5, 5)


def test_F39_a_load_that_was_interrupted(bare: Store) -> None:
    """Constraints without models, models without text, contents without models: the next load makes it whole."""
    documents = read_models([ROOT / "dtdl_models"])
    Registry(bare).load(documents)
    bare.run("MATCH (i:_Interface) WHERE i.label IN ['Turbine', 'Asset'] REMOVE i.source, i.label")
    bare.run("MATCH (i:_Interface {label: 'Gearbox'}) DETACH DELETE i")
    bare.run("MATCH (g:_Catalog) DELETE g")
    half = Registry(bare)
    assert "dtmi:twingraph:core:Asset;1" in half.left_out
    half.load(documents)
    assert (len(half.catalog.interfaces), half.left_out) == (14, {})
    assert len(Registry(bare).catalog.interfaces) == 14


def test_F39_constraints_that_somebody_has_dropped_are_made_again(bare: Store) -> None:
    documents = read_models([ROOT / "dtdl_models"])
    Registry(bare).load(documents)
    bare.command("DROP CONSTRAINT _twin_dtid")
    Registry(bare).load(documents)
    assert bare.read("SHOW CONSTRAINTS YIELD name WHERE name = '_twin_dtid' RETURN count(*)") == [[1]]


def test_F39_nodes_that_stand_in_the_way_of_a_constraint_are_named(bare: Store) -> None:
    bare.command("DROP CONSTRAINT _twin_dtid")
    bare.run("CREATE (:Twin {dtId: 'a', by: 'hand'}), (:Twin {dtId: 'a'})")
    with pytest.raises(StoreError, match="cannot make unique _twin_dtid") as told:
        Registry(bare).load(read_models([ROOT / "dtdl_models"]))
    assert "nodes (:Twin) lack dtId, share one" in str(told.value)
    assert bare.read("MATCH (t:Twin) RETURN count(*), collect(t.by)") == [[2, ["hand"]]]


def test_F39_a_newer_layout_is_left_alone(bare: Store, settings: Settings, broker: Child) -> None:
    bare.run("CREATE (:_Catalog {name: 'models', generation: 7, layout: 99})")
    before = bare.read("MATCH (n) RETURN count(n)")
    for command in (["models", "list"], ["serve"], ["ingest"]):
        done = twingraph(settings, *command)
        assert done.returncode == 1
        assert "the graph has layout 99" in " ".join(done.stderr.split())
    assert bare.read("MATCH (n) RETURN count(n)") == before
