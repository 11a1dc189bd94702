"""The command `twingraph`. Errors go to stderr with exit code 1; usage errors end with 2."""

import asyncio
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.cli.deadletters import deadletters_app
from app.cli.graphql import graphql_app
from app.cli.history import history_app
from app.cli.keys import keys_app
from app.cli.models import models_app
from app.cli.opcua import opcua_app
from app.cli.sources import sources_app
from app.cli.twins import twins_app
from app.errors import MappingError, StackError, TwingraphError
from app.logs import configure
from app.settings import ROOT, Settings

app = typer.Typer(name="twingraph", help="Digital twins on Neo4j.", no_args_is_help=True, pretty_exceptions_enable=False)
stack_app = typer.Typer(help="The local Neo4j and MQTT broker.", no_args_is_help=True)
predict_app = typer.Typer(help="Prognosis of failures.", no_args_is_help=True)
app.add_typer(stack_app, name="stack")
app.add_typer(models_app, name="models")
app.add_typer(twins_app, name="twin")
app.add_typer(predict_app, name="predict")
app.add_typer(keys_app, name="keys")
app.add_typer(graphql_app, name="graphql")
app.add_typer(deadletters_app, name="deadletters")
app.add_typer(sources_app, name="sources")
app.add_typer(opcua_app, name="opcua")
app.add_typer(history_app, name="history")
out, err = Console(emoji=False), Console(stderr=True, emoji=False)
Paths = Annotated[list[Path], typer.Argument(help="files and folders")]
SWITCH_SECONDS = 0.001  # a thread that computes lets the server's event loop go on after so long


def main() -> None:
    try:
        app()
    except TwingraphError as error:
        err.print("[red bold]error[/] ", end="")
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        err.print("[red bold]error[/] ", end="")
        err.print(f"{error.strerror}: {error.filename}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"twingraph {version('twingraph')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="the version")] = False,
) -> None:
    """Digital twins on Neo4j."""


# The demo and its parts -----------------------------------------------------------------------------------------------


@app.command()
def demo(
    speed: Annotated[float, typer.Option(help="simulated seconds per second", min=0.01, max=10_000)] = 1.0,
    farms: Annotated[int, typer.Option(help="wind farms; the last speaks OPC UA", min=1, max=99)] = 12,
    turbines: Annotated[int, typer.Option(help="turbines a farm", min=1, max=500)] = 42,
    seed: Annotated[int, typer.Option(help="seed of the fleet")] = 1,
) -> None:
    """Starts Neo4j, the broker, the fleet, ingestion, the server and the predictor; Ctrl-C stops all."""
    from app.demo import run_demo

    sys.exit(run_demo(Settings.read(), speed, farms, turbines, seed, err))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on")] = None,
) -> None:
    """The server: GraphQL, REST, explorer, metrics."""
    import uvicorn

    from app.http.protocol import SERVER_LIMITS
    from app.main import make_app

    settings = Settings.read(host=host, server_port=port)
    configure(settings.log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    _seldom_collect()
    uvicorn.run(
        make_app(settings),
        host=settings.host,
        port=settings.server_port,
        log_level=settings.log_level.lower(),
        access_log=False,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
        timeout_graceful_shutdown=5,
        **SERVER_LIMITS,
    )


@app.command()
def ingest(
    mappings: Annotated[list[Path] | None, typer.Argument(help="mapping files or folders; the demo's")] = None,
    check: Annotated[bool, typer.Option("--check", help="only check the mappings against the loaded models")] = False,
    sample: Annotated[
        Path | None, typer.Option(help="only tell what each line of this file, `address payload`, would become")
    ] = None,
) -> None:
    """Runs the sources of the mappings: readings in, committed, acknowledged."""
    from app.main import assemblers, open_store
    from app.main import ingest as run_ingest
    from ingest.pipeline.sample import described, samples
    from ingest.sources import MAPPINGS, make_source, read_mappings

    settings = Settings.read()
    configure(settings.log_level)
    parsed_mappings = read_mappings(mappings or [MAPPINGS])
    if not parsed_mappings:
        raise MappingError("no mapping found", where=", ".join(map(str, mappings or [MAPPINGS])))
    if check or sample:
        for mapping in parsed_mappings:
            make_source(mapping, settings)
        messages = samples(sample) if sample else []
        with open_store(settings) as store:
            by_source = assemblers(settings, parsed_mappings, store)
            for line in (line for message in messages for line in described(by_source, message)):
                out.print(line, markup=False, highlight=False, soft_wrap=True)
        out.print(f"{len(parsed_mappings)} mappings are sound")
        return

    _seldom_collect()
    _run_async(lambda: _until_signalled(run_ingest(settings, mappings or [MAPPINGS])))


@app.command()
def gateway(path: Annotated[Path, typer.Argument(metavar="FILE", help="what it takes, aggregates and forwards")]) -> None:
    """Takes sources at the edge, aggregates, spools to disk, forwards to another Twingraph. Needs no Neo4j."""
    from app.main import with_secrets
    from ingest.gateway.gateway import read_plan, run_gateway

    settings = with_secrets(Settings.read())
    configure(settings.log_level)
    read_plan(path)

    _seldom_collect()
    _run_async(lambda: _until_signalled(run_gateway(settings, path)))


@app.command()
def fleet(
    speed: Annotated[float, typer.Option(min=0.01, max=10_000)] = 1.0,
    farms: Annotated[int, typer.Option(min=1, max=99)] = 12,
    turbines: Annotated[int, typer.Option(min=1, max=500)] = 42,
    seed: int = 1,
) -> None:
    """The simulated fleet: publishes over MQTT and OPC UA and obeys commands."""
    from app.main import with_secrets
    from app.simulate.fleet import Fleet
    from app.simulate.layout import Layout
    from app.simulate.running import Run
    from app.simulate.running import run as run_fleet
    from app.stack.parts import say_ready

    settings = with_secrets(Settings.read())
    configure(settings.log_level)
    settings.home.mkdir(parents=True, exist_ok=True)
    layout = Layout(farms, turbines)
    simulated_fleet = Fleet.restore(settings.home / "fleet.pickle", layout, seed) or Fleet(layout, seed, time.time())
    url = f"opc.tcp://{settings.host}:{settings.opcua_port}/fleet"

    async def run() -> None:
        plan = Run(speed, url, settings.home, say_ready)
        running = asyncio.create_task(run_fleet(simulated_fleet, plan, settings))
        _cancel_on_signals(running)
        await running

    _run_async(run)


@app.command()
def endpoints(as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False) -> None:
    """Every endpoint of the running stack."""
    from app.stack.endpoints import print_endpoints, running

    _, addresses = running(Settings.read().home)
    if as_json:
        print(json.dumps(addresses))  # noqa: T201
    else:
        print_endpoints(addresses, out)


@app.command("doors", hidden=True)
def former_doors(as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False) -> None:
    """The former name of `endpoints`."""
    err.print("doors is now endpoints; the former name goes with the next version")
    endpoints(as_json)


# Stack ----------------------------------------------------------------------------------------------------------------


@stack_app.command("start")
def stack_start() -> None:
    """Starts Neo4j and the MQTT broker in the background."""
    from app.stack.endpoints import print_endpoints, running

    settings = Settings.read()
    settings.home.mkdir(parents=True, exist_ok=True)
    log = settings.home / "stack.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "stack", "run"], stdout=output, stderr=output, start_new_session=True
        )
    while process.poll() is None:
        try:
            pid, addresses = running(settings.home)
        except StackError:
            time.sleep(0.2)
            continue
        if pid == process.pid:
            print_endpoints(addresses, out)
            return
        time.sleep(0.2)
    raise StackError(f"the stack did not start\n{log.read_text()[-1500:]}", where=str(log))


@stack_app.command("run")
def stack_run() -> None:
    """Runs Neo4j and the MQTT broker in the foreground; Ctrl-C stops them."""
    from app.keeper import Keeper
    from app.stack.parts import BROKER, NEO4J
    from app.stack.supervise import Supervisor

    settings = Settings.read()
    supervisor = Supervisor(settings, (NEO4J, BROKER), err, tend=Keeper(settings))
    supervisor.stop_on_signals()
    supervisor.up()
    try:
        code = supervisor.watch()
    finally:
        supervisor.down()
    sys.exit(code)


@stack_app.command("stop")
def stack_stop() -> None:
    """Stops the running stack in order."""
    from app.stack.endpoints import running

    home = Settings.read().home
    pid, _ = running(home)
    os.kill(pid, signal.SIGTERM)
    with err.status("stopping …"):
        while True:
            try:
                running(home)
            except StackError:
                break
            time.sleep(0.2)
        while _is_alive(pid):
            time.sleep(0.2)


@stack_app.command("status")
def stack_status() -> None:
    """Says what runs; exit code 1 when nothing does."""
    from app.stack.endpoints import running

    pid, addresses = running(Settings.read().home)
    out.print(f"running, process {pid}: {', '.join(addresses)}")


# Data -----------------------------------------------------------------------------------------------------------------


@app.command()
def replay(
    path: Annotated[Path, typer.Argument(help="Parquet, NDJSON (.ndjson, .jsonl) or CSV")],
    mapping: Annotated[Path, typer.Option(help="mapping file")] = ROOT / "ingest/mappings/files/la-haute-borne.yaml",
) -> None:
    """Writes a table of measurements into the graph's history."""
    from app.main import open_store
    from app.twins.registry import Registry
    from ingest.mapping.declaration import read_mapping
    from ingest.replay import replay as run_replay

    parsed_mapping = read_mapping(mapping)
    started = time.monotonic()
    with open_store(Settings.read()) as store, _progress("rows") as tell:
        done = run_replay(store, Registry(store).catalog, parsed_mapping, path, tell)
    seconds = time.monotonic() - started
    out.print(
        f"{done.rows} rows, {done.values} values of {done.twins} twins in {seconds:.1f} s "
        f"({done.values / seconds:,.0f} values/s), {done.duplicates} were there already"
        + (f", {done.repeated} rows without a value or of an instant that an earlier row has" if done.repeated else "")
    )


@app.command()
def report(
    name: Annotated[str | None, typer.Argument(help="one of cypher/report; all names when absent")] = None,
) -> None:
    """Runs a Cypher report and prints it."""
    from app.main import open_store
    from app.report import report_names, run_report

    names = report_names()
    if name is None:
        out.print("\n".join(names))
        return
    if name not in names:
        raise TwingraphError(f"no report {name!r}", hint=f"one of {', '.join(names)}", code="NOT_FOUND")
    with open_store(Settings.read()) as store:
        columns, rows = run_report(store, name)
    table = Table(*columns)
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row))
    out.print(table)


# Prediction -----------------------------------------------------------------------------------------------------------


@predict_app.command("train")
def predict_train(
    days: Annotated[int, typer.Option(help="length of the simulated history", min=30, max=1000)] = 90,
    farms: Annotated[int, typer.Option(min=1, max=50)] = 6,
) -> None:
    """Trains on an accelerated simulated history; the model goes to the state folder."""
    from app.simulate.training import train

    settings = Settings.read()
    with _progress("%") as tell:
        predictor = train(days, farms, progress=lambda share, what: tell(round(share * 100), 100))
    predictor.save(settings.home / "predictor")
    out.print(f"trained {predictor.version}")


@predict_app.command("score")
def predict_score() -> None:
    """Scores the whole fleet once and writes the prognoses back."""
    from app.main import open_store
    from app.predict.hazard import Hazard
    from app.predict.schedule import score_once
    from app.predict.windows import Windows
    from app.twins.registry import Registry

    settings = Settings.read()
    hazard = Hazard.read(settings.home / "predictor")
    with open_store(settings) as store:
        scored = score_once(Registry(store), hazard, Windows())
    out.print(f"{scored.twins} twins scored in {scored.seconds:.1f} s, the weakest at {scored.weakest:.3f}")


@predict_app.command("run")
def predict_run() -> None:
    """Scores the fleet again and again."""
    from app.main import open_store
    from app.predict.hazard import Hazard
    from app.predict.schedule import run
    from app.stack.parts import say_ready
    from app.twins.registry import Registry

    settings = Settings.read()
    configure(settings.log_level)
    hazard = Hazard.read(settings.home / "predictor")
    stopping = Event()  # an exception raised by a signal can be lost in a failure of the database
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with open_store(settings) as store:
        registry = Registry(store)
        say_ready()
        run(registry, hazard, settings.score_seconds, stopping)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(help="replay, mqtt, ingest, kafka, opcua, visible, memory, graphql, load, history, schema, dtdl, all"),
    ] = "all",
) -> None:
    """Takes the figures of docs/reference/figures.md on this machine; needs a checkout."""
    script = ROOT / "bench" / f"{name}.py"
    if not script.exists():
        names = sorted(path.stem for path in (ROOT / "bench").glob("*.py"))
        raise TwingraphError(f"no bench {name!r}", hint=f"one of {', '.join(names)}", code="NOT_FOUND")
    sys.argv = [str(script), *context.args]
    sys.path.insert(0, str(ROOT))
    runpy.run_path(str(script), run_name="__main__")


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn())
    with Progress(*columns, console=err) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _run_async(run: Callable[[], Any]) -> None:
    try:
        import uvloop
    except ImportError:
        runner: Any = asyncio.run
    else:
        runner = uvloop.run
    try:
        runner(run())
    except asyncio.CancelledError:
        return
    except ExceptionGroup as group:
        own_errors = group.split(TwingraphError)[0]
        if own_errors is None:
            raise
        raise own_errors.exceptions[0] from group


def _seldom_collect() -> None:
    """Batches of many objects, none in a cycle: looking for cycles after every 700 of them took half of a batch's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


async def _until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Ready once it has run for a second."""
    from app.stack.parts import say_ready

    running = asyncio.create_task(work)
    _cancel_on_signals(running)
    await asyncio.sleep(1.0)
    if not running.done():
        say_ready()
    await running


def _cancel_on_signals(task: "asyncio.Task[None]") -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
