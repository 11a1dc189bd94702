"""Opens the packages bottom-up and joins them. The only module that knows all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from app import disk
from app.clock import Clock
from app.errors import BadRequest, ModelError, TwingraphError
from app.events.feed import Feed, Kind, Topic
from app.graph.store import Store
from app.graphql.answer.schema import SchemaCache
from app.graphql.router import Router, origins
from app.graphql.router import refusal as graphql_refusal
from app.history.retention import read_retention
from app.http.entrance import Entrance, refusal
from app.http.pages import pages
from app.http.workers import Workers
from app.identity import Clients, Gate
from app.rest import api, health
from app.server import Server
from app.settings import Settings
from app.stack import jars
from app.stack.secrets import secret
from app.twins.changes import Changes
from app.twins.directory import Directory
from app.twins.registry import Registry, read_models
from ingest.mapping.declaration import SourceMapping, check_against
from ingest.mapping.match import Matcher
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.housekeeping import housekeep
from ingest.pipeline.managed import Runner
from ingest.pipeline.pipeline import Pipeline
from ingest.sources import MAPPINGS, make_source, mapping_files, outlets, read_mappings

log = structlog.get_logger()
FOLLOW_SECONDS = 1.0
BACKGROUND_THREADS = 64
MEASURE_SECONDS = 60.0
DISK_SECONDS = 10.0
GRACE_SECONDS = 2.0  # for a read to end by its own limit, before its caller gives up


def make_store(settings: Settings) -> Store:
    uri = settings.neo4j_uri or f"bolt://{settings.neo4j_host}:{settings.bolt_port}"
    password = settings.neo4j_password or secret(settings.home, "neo4j")
    return Store(uri, settings.neo4j_user, password, settings.neo4j_database)


def open_store(settings: Settings) -> Store:
    """Raises: StoreError when the database is away or refuses the login."""
    store = make_store(settings)
    store.verify()
    return store


def with_secrets(settings: Settings) -> Settings:
    """Settings whose empty passwords are those of the state folder."""
    secrets = {"mqtt_password": settings.mqtt_password or secret(settings.home, "mqtt")}
    secrets["token"] = settings.token or secret(settings.home, "token")
    secrets["push_token"] = settings.push_token or secret(settings.home, "push")
    return Settings.read(**{name: getattr(settings, name) for name in settings.__slots__} | secrets)


def make_app(settings: Settings) -> FastAPI:
    """The server: GraphQL, REST, explorer, health, metrics. Raises: StoreError, ModelError, MappingError."""
    settings = with_secrets(settings)
    store = open_store(settings)
    changes, schemas = Changes(), SchemaCache(settings)
    registry = Registry(store, changes, schemas.require)
    _load_folder(registry, settings)
    command_outlets = outlets(read_mappings([MAPPINGS]), settings)
    gate, clients = Gate(store, settings), Clients(settings)
    workers = Workers(settings.query_timeout + GRACE_SECONDS)
    parsers = Workers(settings.query_timeout, threads=2, share=1)
    server = Server(settings, store, registry, Feed(store), gate, clients, workers, parsers, command_outlets)
    graphql = Router(server, schemas)
    changes.on_catalog(graphql.take)

    clock = Clock(store.time)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        _widen_executor()
        tasks = [
            asyncio.create_task(_every(FOLLOW_SECONDS, clock.look, "clock comparison")),
            asyncio.create_task(_every(DISK_SECONDS, partial(disk.measure, settings.home), "disk measurement")),
            asyncio.create_task(_follow(server.feed, registry)),
            asyncio.create_task(_every(MEASURE_SECONDS, graphql.measure, "graph measurement")),
        ]
        yield
        for task in tasks:
            task.cancel()
        store.close()

    app = FastAPI(title="Twingraph", version=version("twingraph"), docs_url=None, redoc_url=None, lifespan=running)
    app.state.server, app.state.readiness = server, health.Readiness(store, clock, settings.home)
    app.add_middleware(
        Entrance,  # type: ignore[arg-type]
        gate=gate,
        clients=clients,
        write_bytes=settings.body_bytes,
        refusals={"/graphql": graphql_refusal},
    )
    app.include_router(api.router)
    app.include_router(health.router)
    app.include_router(pages(jars.fetched("explorer", settings.cache)))
    app.router.routes.insert(0, Route("/graphql", graphql))
    app.router.routes.append(WebSocketRoute("/graphql", graphql))
    if settings.cors_origins:
        headers = ["Authorization", "Content-Type", "If-Match"]
        allowed = list(origins(settings.cors_origins))
        app.add_middleware(CORSMiddleware, allow_origins=allowed, allow_methods=["*"], allow_headers=headers)
    app.add_exception_handler(TwingraphError, _answer_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _answer_misfit)  # type: ignore[arg-type]
    return app


def open_registry(store: Store, settings: Settings) -> Registry:
    """For who loads models: they must be such that a server can serve them. Raises: StoreError."""
    return Registry(store, servable=SchemaCache(settings).require)


def _load_folder(registry: Registry, settings: Settings) -> None:
    """Raises: ModelError where the graph has no models to go on with."""
    try:
        registry.load(read_models([settings.models]))
    except ModelError as error:
        if not registry.catalog.interfaces:
            raise
        log.error(
            "models in the folder not loaded; serving the models in the graph", folder=str(settings.models), error=str(error)
        )


def _widen_executor() -> None:
    """For this event loop: sources poll in threads, and a silent database holds some; the default are four and the cores."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(BACKGROUND_THREADS, "background"))


async def _every(seconds: float, work: Callable[[], object], what: str) -> None:
    """Whatever fails once is tried again."""
    while True:
        await _attempt(work, what)
        await asyncio.sleep(seconds)


async def _follow(feed: Feed, registry: Registry) -> None:
    """Takes over models that another process has loaded."""
    async with feed.listen(Topic(Kind.MODELS)) as models:
        while True:
            if await _attempt(registry.refresh, "reading new models"):
                await models.next()
            else:
                await asyncio.sleep(FOLLOW_SECONDS)


async def _attempt(work: Callable[[], object], what: str) -> bool:
    """Whether it has succeeded."""
    try:
        await asyncio.to_thread(work)
    except TwingraphError as error:
        log.warning("background work failed; it is tried again", work=what, error=str(error))
    except Exception:
        log.exception("background work failed; it is tried again", work=what)
    else:
        return True
    return False


async def _answer_error(request: Request, error: TwingraphError) -> Response:
    return refusal(error)


async def _answer_misfit(request: Request, error: RequestValidationError) -> Response:
    """What was sent is not said again: it may be of any kind and length."""
    first = error.errors()[0]
    place = ".".join(str(step)[:80] for step in first["loc"])
    return refusal(BadRequest(str(first["msg"])[:300], where=place, hint="/openapi.json describes each request"))


async def ingest(settings: Settings, paths: list[Path]) -> None:
    """Runs every source of the mapping files, and follows their changes, until cancelled.

    Raises: MappingError, SettingError, StoreError."""
    _widen_executor()
    settings = with_secrets(settings)
    retention = read_retention(Path(settings.retention)) if settings.retention else []
    store = await asyncio.to_thread(open_store, settings)
    registry = await asyncio.to_thread(Registry, store)
    directory = await asyncio.to_thread(Directory, store)
    gate, clock = Gate(store, settings), Clock(store.time)
    runner = Runner(
        registry,
        lambda: read_mappings(paths),
        lambda: {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in mapping_files(paths) if file.exists()},
        lambda mapping: _pipeline(settings, mapping, store, registry, directory, gate),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.run())
        tasks.create_task(housekeep(store, registry, clock, retention))
        tasks.create_task(_every(FOLLOW_SECONDS, clock.look, "clock comparison"))


def assemblers(settings: Settings, mappings: list[SourceMapping], store: Store) -> dict[str, Assembler]:
    """What makes batches of each source's messages. Raises: MappingError, StoreError."""
    registry, directory = Registry(store), Directory(store)
    for mapping in mappings:
        check_against(mapping, registry.catalog)
    return {mapping.source: _assembler(settings, mapping, registry, directory) for mapping in mappings}


def _assembler(settings: Settings, mapping: SourceMapping, registry: Registry, directory: Directory) -> Assembler:
    return Assembler(mapping.source, registry.catalog, Matcher(mapping, directory), settings.max_skew_seconds)


def _pipeline(
    settings: Settings, mapping: SourceMapping, store: Store, registry: Registry, directory: Directory, gate: Gate
) -> Pipeline:
    assembler = _assembler(settings, mapping, registry, directory)
    source = make_source(mapping, settings)
    source.gate = gate
    return Pipeline(source, assembler, store, settings.flush_seconds, settings.batch_messages)
