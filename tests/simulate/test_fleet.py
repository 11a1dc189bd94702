"""The fleet: seeded, physical, and silent about its truth."""

import numpy as np
import pytest

from app.simulate.damage import DAY, EPISODE
from app.simulate.fleet import Fleet
from app.simulate.history import as_series, run
from app.simulate.layout import KINDS, RATED_POWER, Layout
from app.simulate.messages import component_values
from app.simulate.publish import carry_out, events, telemetry
from app.simulate.weather import power_curve

START = 1_760_000_000.0


def test_the_default_is_the_founding_fleet() -> None:
    layout = Layout(12, 42)
    twins = list(layout.twins())
    assert (layout.count, len(KINDS)) == (504, 8)
    assert len({twin.dt_id for twin in twins}) == len(twins) == 12 * 2 + 504 * 9
    assert len(list(layout.relationships())) == 12 + 504 * 10


def test_one_seed_one_fleet() -> None:
    first, second, other = (Fleet(Layout(2, 5), seed, START) for seed in (4, 4, 5))
    for _ in range(20):
        a, b, c = first.step(600), second.step(600), other.step(600)
    assert np.array_equal(a.turbine["power"], b.turbine["power"], equal_nan=True)
    assert not np.array_equal(a.turbine["power"], c.turbine["power"], equal_nan=True)


@pytest.mark.parametrize(("wind", "power"), [(2.0, 0.0), (12.5, RATED_POWER), (20.0, RATED_POWER), (26.0, 0.0)])
def test_power_follows_the_curve(wind: float, power: float) -> None:
    assert power_curve(np.array([wind]), RATED_POWER)[0] == pytest.approx(power)


def test_episodes_last_three_to_thirty_days_and_end_in_repair() -> None:
    fleet = Fleet(Layout(4, 42), 3, START)
    onset: dict[tuple[int, int], float] = {}
    lengths, repaired = [], 0
    for seen in run(fleet, START + 200 * DAY, 3600.0):
        onset |= {(int(t), int(k)): seen.at for t, k in seen.happenings.onset}
        for t, k in seen.happenings.failed:
            if (int(t), int(k)) in onset:
                lengths.append((seen.at - onset.pop((int(t), int(k)))) / DAY)
        for t, k in seen.happenings.prevented:
            onset.pop((int(t), int(k)), None)
        repaired += len(seen.happenings.repaired)
    assert len(lengths) > 200
    low, high = np.percentile(lengths, [2, 98])
    assert low > EPISODE[0] * 0.5
    assert high < EPISODE[1] * 1.8
    assert repaired > 200


def test_damage_shows_in_vibration_and_load_explains_the_rest() -> None:
    fleet = Fleet(Layout(4, 42), 3, START)
    seen = list(run(fleet, START + DAY))[-1]
    per_load = seen.component["vibrationMean"] / (0.35 + 0.65 * seen.component["load"])
    healthy = per_load[(fleet.damage.level == 0) & ~np.isnan(per_load)]
    fleet.damage.level[:] = 0.9
    hurt = fleet.step(600).component["vibrationMean"] / (0.35 + 0.65 * fleet.load)
    assert np.nanmedian(hurt) > 1.5 * np.median(healthy)


def test_a_silent_sensor_sends_nothing_and_the_truth_is_never_said() -> None:
    fleet = Fleet(Layout(2, 20), 7, START)
    said = [payload for seen in run(fleet, START + DAY / 2) for _, payload in telemetry(fleet, seen, 1, True)]
    assert len(said) < 72 * (1 + 20 * 9)
    assert not any(word in payload for payload in said[:2000] for word in (b"NaN", b"null", b"onset", b"damage"))


def test_history_has_every_point_once() -> None:
    fleet = Fleet(Layout(1, 3), 7, START)
    seen = list(run(fleet, START + DAY / 4))
    series = {one.dt_id: one for one in as_series(fleet, seen)}
    assert len(series) == 1 + 3 * 9
    gearbox = series["wf01-t01-gearbox"]
    expected = [component_values(one, 0, 0).get("temperature") for one in seen]
    assert gearbox.columns["temperature"] == [value for value in expected if value is not None]


@pytest.mark.parametrize(
    ("command", "request_", "accepted", "state"),
    [
        ("setPowerLimit", 1000, True, "limited"),
        ("setPowerLimit", -1, False, "running"),
        ("setPowerLimit", "x", False, "running"),
        ("stop", "maintenance", True, "stopped"),
        ("start", None, True, "running"),
        ("explode", None, False, "running"),
    ],
)
def test_commands_are_obeyed_or_refused(command: str, request_: object, accepted: bool, state: str) -> None:
    fleet = Fleet(Layout(1, 2), 1, START)
    answer = carry_out(fleet, 1, command, request_)
    assert (answer["accepted"], answer["state"]) == (accepted, state)


def test_a_stopped_turbine_makes_no_power_and_state_survives() -> None:
    fleet = Fleet(Layout(1, 2), 1, START)
    carry_out(fleet, 1, "stop", "test")
    seen = fleet.step(600)
    assert seen.state[1] == "stopped"
    assert np.nan_to_num(seen.turbine["power"][1]) == 0


def test_a_saved_fleet_goes_on_where_it_was(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("fleet") / "fleet.pickle"
    fleet = Fleet(Layout(1, 4), 2, START)
    fleet.step(600)
    fleet.save(path)
    restored = Fleet.restore(path, Layout(1, 4), 2)
    assert restored is not None
    assert np.array_equal(fleet.step(600).turbine["power"], restored.step(600).turbine["power"], equal_nan=True)
    assert Fleet.restore(path, Layout(2, 4), 2) is None


def test_events_are_those_of_the_mqtt_farms() -> None:
    fleet = Fleet(Layout(3, 42), 2, START)
    topics = [topic for seen in run(fleet, START + 20 * DAY, 3600.0) for topic, _ in events(fleet, seen)]
    assert topics
    assert {topic.split("/")[1] for topic in topics} <= {"wf01", "wf02"}
