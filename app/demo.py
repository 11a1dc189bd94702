"""`make demo`: the whole stack on one machine, the fleet's twins and first day in the graph, a trained predictor."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.dtdl import Catalog
from app.graph.store import Store
from app.keeper import Keeper
from app.main import open_registry, open_store
from app.settings import Settings, variable
from app.simulate.fleet import Fleet, Observation
from app.simulate.history import STEP, as_series, run
from app.simulate.layout import Layout
from app.simulate.publish import events
from app.simulate.training import train
from app.stack import jars
from app.stack.broker import FLEET, fleet_password
from app.stack.endpoints import print_endpoints, running
from app.stack.parts import BROKER, NEO4J, python_part
from app.stack.supervise import Supervisor
from app.twins.directory import Directory
from app.twins.edit import ensure
from app.twins.registry import read_models
from app.twins.write import Batch, append
from ingest.mapping.declaration import read_mapping
from ingest.mapping.match import Matcher
from ingest.pipeline.assemble import Assembler
from ingest.source import Message
from ingest.sources import MAPPINGS

DAY = 86400.0
LONGEST_LEAD = 365 * DAY
STEPS_AT_ONCE = 12
TWINS_PER_COMMIT = 500


def run_demo(settings: Settings, speed: float, farms: int, turbines: int, seed: int, console: Console) -> int:
    """Exit code: 0 after Ctrl-C, 1 when a child died. Raises: StackError when the stack cannot start."""
    layout = Layout(farms, turbines)
    size = ["--speed", str(speed), "--farms", str(farms), "--turbines", str(turbines), "--seed", str(seed)]
    parts = (
        NEO4J,
        BROKER,
        python_part(
            "fleet",
            ["fleet", *size],
            opened=("opcua",) if farms > 1 else (),
            seconds=120,
            essential=False,
            changes=lambda current: {variable("mqtt_user"): FLEET, variable("mqtt_password"): fleet_password(current)},
        ),
        python_part("server", ["serve"], "server_port", ("graphql", "metrics", "api"), "/health/ready", 120),
        python_part("ingest", ["ingest"]),
        python_part("predictor", ["predict", "run"], essential=False),
    )
    for name in ("neo4j", "artemis", "explorer"):
        jars.fetch(name, settings.cache, console)
    supervisor = Supervisor(settings, parts, console, tend=Keeper(settings))
    supervisor.stop_on_signals()
    supervisor.between["neo4j"] = lambda: prepare(settings, layout, seed, speed, console)
    supervisor.between["broker"] = lambda: _train_once(settings, console)
    supervisor.up()
    try:
        _, endpoints = running(settings.home)
        console.print()
        print_endpoints(endpoints, console)
        console.print(f"\n{layout.count} turbines in {farms} farms; Ctrl-C stops all, the next start finds its data.")
        return supervisor.watch()
    finally:
        supervisor.down()


def prepare(settings: Settings, layout: Layout, seed: int, speed: float, console: Console) -> None:
    """Models, twins and, at the first start, one day of history."""
    with open_store(settings) as store:
        registry = open_registry(store, settings)
        registry.load(read_models([settings.models]))
        with console.status("twins and relationships …"):
            ensure(store, registry.catalog, list(layout.twins()), list(layout.relationships()))
        saved = settings.home / "fleet.pickle"
        if Fleet.restore(saved, layout, seed) is not None:
            return
        lead = min((speed - 1) * DAY, LONGEST_LEAD) if speed > 1 else 0.0
        fleet = Fleet(layout, seed, time.time() - lead - DAY)
        _write_first_day(store, registry.catalog, fleet, console)
        fleet.save(saved)


def _write_first_day(store: Store, catalog: Catalog, fleet: Fleet, console: Console) -> None:
    mapping = read_mapping(MAPPINGS / "fleet-mqtt.yaml")
    assembler = Assembler("first-day", catalog, Matcher(mapping, Directory(store)), 0.0)
    with _bar(console, "first day of history") as progress:
        task = progress.add_task("", total=round(DAY / STEP))
        for seen in batched(run(fleet, fleet.at + DAY), STEPS_AT_ONCE):
            series = as_series(fleet, seen)
            for first in range(0, len(series), TWINS_PER_COMMIT):
                append(store, Batch(series[first : first + TWINS_PER_COMMIT]))
            messages = [Message(*message) for observation in seen for message in events(fleet, observation)]
            append(store, assembler.assemble(messages).batch)
            progress.advance(task, len(seen))


def batched(observations: Iterable[Observation], size: int) -> Iterator[list[Observation]]:
    waiting = iter(observations)
    while some := list(islice(waiting, size)):
        yield some


def _train_once(settings: Settings, console: Console) -> None:
    folder = settings.home / "predictor"
    if (folder / "hazard.json").exists():
        return
    with _bar(console, "training the predictor") as progress:
        task = progress.add_task("", total=1.0)
        hazard = train(progress=lambda share, what: progress.update(task, completed=share))
    hazard.save(folder)


def _bar(console: Console, what: str) -> Progress:
    return Progress(TextColumn(what), BarColumn(), TimeElapsedColumn(), console=console)
