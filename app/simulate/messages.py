"""What a device says of one observation: the fields of its message. NaN is left out, as a silent sensor would."""

from typing import Any

from app.simulate.fleet import Observation
from app.simulate.layout import KINDS


def farm_values(seen: Observation, farm: int) -> dict[str, Any]:
    return {name: round(float(values[farm]), 3) for name, values in seen.farm.items()}


def turbine_values(seen: Observation, index: int) -> dict[str, Any]:
    numbers = {name: round(float(v), 3) for name, values in seen.turbine.items() if (v := values[index]) == v}
    return numbers | {"operatingState": seen.state[index]}


def component_values(seen: Observation, index: int, kind: int) -> dict[str, Any]:
    """Empty when the whole message has dropped out."""
    form = KINDS[kind]
    numbers = {name: float(v) for name, values in seen.component.items() if (v := values[index, kind]) == v}
    wear = numbers.pop("wear", None)
    if "load" not in numbers:
        return {}
    values: dict[str, Any] = {name: round(value, 4) for name, value in numbers.items()}
    if "errorCount" in values:
        values["errorCount"] = int(values["errorCount"])
    if form.wear and wear is not None:
        values[form.wear] = round(wear, 2)
    for signal, rest, added in form.own:
        values[signal] = round(rest + added * numbers["load"], 3)
    return values
