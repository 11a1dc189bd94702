"""The clock of the fleet: steps it, publishes, keeps its state and the truth.

At speed 1 a turbine reports every ten seconds, a component every minute. At a higher speed simulated time passes faster,
the messages keep coming at most every two seconds, and the fleet begins in the past: no event time ever lies in the
future, and once it has caught up with the clock it goes on at speed 1."""

import asyncio
import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiomqtt import MqttError

from app.errors import StackError
from app.settings import Settings
from app.simulate.controller import Controller
from app.simulate.fleet import Fleet, Observation
from app.simulate.layout import KINDS
from app.simulate.publish import device, events, obey, send, telemetry

log = structlog.get_logger()
SHORTEST, COMPONENTS_EVERY, SAVE_SECONDS = 2.0, 6, 30.0
LONG_STEP = 600.0


@dataclass(frozen=True, slots=True)
class Run:
    speed: float
    opcua_url: str
    state: Path
    ready: Callable[[], None]


async def run(fleet: Fleet, plan: Run, settings: Settings) -> None:
    """Until cancelled. The last farm speaks OPC UA, where there are several. Raises: StackError when the broker is lost."""
    if plan.speed <= 0:
        raise StackError("speed must be above 0", where=str(plan.speed))
    controller = Controller(fleet, fleet.layout.farms - 1, plan.opcua_url) if fleet.layout.farms > 1 else None
    if plan.speed <= 1:
        _pass_over(fleet, plan.state / "truth.csv")
    seen = fleet.step(1.0)
    if controller:
        await controller.start(seen)
    try:
        async with device(settings.mqtt_host, settings.mqtt_port, settings.mqtt_user, settings.mqtt_password) as client:
            obeying = asyncio.create_task(obey(client, fleet))
            plan.ready()
            publishing = asyncio.create_task(_publish(fleet, plan, settings.fleet_seconds, client, controller))
            done, pending = await asyncio.wait((obeying, publishing), return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            for task in done:
                task.result()
    except MqttError as error:
        raise StackError(f"broker lost: {error}", where=f"{settings.mqtt_host}:{settings.mqtt_port}") from error
    finally:
        fleet.save(plan.state / "fleet.pickle")
        if controller:
            await controller.stop()


async def _publish(fleet: Fleet, plan: Run, period: float, client: Any, controller: Controller | None) -> None:
    tick, saved, caught_up = 0, time.monotonic(), False
    while True:
        started = time.monotonic()
        speed = 1.0 if caught_up else plan.speed
        wait = max(min(SHORTEST, period), period / speed)
        if fleet.at > time.time() + period:
            log.warning("clock moved back; the simulation continues from there", seconds=round(fleet.at - time.time()))
            fleet.at = time.time()
        step = min(wait * speed, time.time() - fleet.at)
        if step > 0:
            seen = fleet.step(step)
            components = tick % COMPONENTS_EVERY == 0 or step > period
            _note_truth(fleet, seen, plan.state / "truth.csv")
            await send(client, events(fleet, seen) + telemetry(fleet, seen, fleet.layout.mqtt_farms, components))
            if controller:
                await controller.show(seen, components)
            tick += 1
        if not caught_up and plan.speed > 1 and time.time() - fleet.at < wait * speed:
            caught_up = True
            log.info("simulated time has caught up with the clock; continuing at speed 1")
        if time.monotonic() - saved > SAVE_SECONDS:
            fleet.save(plan.state / "fleet.pickle")
            saved = time.monotonic()
        await asyncio.sleep(max(0.0, wait - (time.monotonic() - started)))


def _pass_over(fleet: Fleet, truth: Path) -> None:
    """What happened while nobody looked: nothing is published, a gap stays in the history."""
    while fleet.at + LONG_STEP < time.time():
        _note_truth(fleet, fleet.step(LONG_STEP), truth)
    if (rest := time.time() - fleet.at - 1.0) > 0:
        fleet.step(rest)


def _note_truth(fleet: Fleet, seen: Observation, path: Path) -> None:
    rows = [
        (round(seen.at, 1), f"{fleet.layout.turbine_id(int(index))}-{KINDS[int(k)].suffix}", what)
        for what in ("onset", "failed", "repaired", "prevented")
        for index, k in getattr(seen.happenings, what)
    ]
    if rows:
        with path.open("a", newline="") as stream:
            csv.writer(stream).writerows(rows)
