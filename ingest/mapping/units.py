"""Units by DTDL's names and pint's → how to convert: `value * factor + offset`."""

import re
from functools import cache
from typing import Any

WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
MANY = 2.0**20  # so that an offset does not swallow the digits of the factor
NAMED = {
    "degreeCelsius": "degC",
    "degreeFahrenheit": "degF",
    "degreeOfArc": "degree",
    "minuteOfArc": "arcminute",
    "secondOfArc": "arcsecond",
    "gForce": "standard_gravity",
    "inchOfMercury": "inHg",
    "partsPerMillion": "ppm",
    "tonOfRefrigeration": "refrigeration_ton",
    "inchesOfMercury": "inHg",
    "inchesOfWater": "inH2O",
    "millimetresOfMercury": "mmHg",
    "nauticalMile": "nautical_mile",
    "astronomicalUnit": "astronomical_unit",
    "fluidOunce": "fluid_ounce",
    "poundPerSquareInch": "psi",
    "footcandle": "lumen / foot ** 2",
    "unity": "dimensionless",
}
SUFFIXES = {"Squared": "** 2", "Cubed": "** 3"}
PREFIXES = {"square": 2, "cubic": 3}


def conversion(source_unit: str, target_unit: str) -> tuple[float, float]:
    """(factor, offset) from one unit to another. Raises: ValueError saying what does not fit."""
    if not target_unit:
        raise ValueError("the model gives this signal no unit to convert to")
    source, target = (_unit(name) for name in (source_unit, target_unit))
    if source.dimensionality != target.dimensionality:
        raise ValueError(f"{source_unit!r} cannot be converted to the model's {target_unit!r}")
    quantity = _registry().Quantity
    zero, many = (quantity(value, source).to(target).magnitude for value in (0.0, MANY))
    return (many - zero) / MANY, zero


@cache
def _unit(name: str) -> Any:
    import tokenize

    import pint

    for text in (NAMED.get(name), name, _spelt(name) if name.isalpha() else ""):
        try:
            if text:
                return _registry().Unit(text)
        except (pint.PintError, tokenize.TokenError, ValueError, AttributeError, TypeError, AssertionError, ArithmeticError):
            continue
    raise ValueError(f"{name!r} is no unit")


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()


def _spelt(name: str) -> str:
    """`kilowattHourPerSquareMetre` → `(kilowatt * hour) / (metre ** 2)`. Reactive power is measured in volt-amperes, too."""
    name = re.sub("[Bb]ritishThermalUnit", "Btu", name).replace("kiloBtu", "kilo_Btu").replace("Reactive", "")
    above, *below = name.replace("reciprocal", "Per").split("Per")
    return " / ".join(f"({_product(part)})" for part in (above, *below))


def _product(name: str) -> str:
    factors: list[str] = []
    power = 0
    for word in WORD.findall(name):
        if word in SUFFIXES and factors:
            factors[-1] += f" {SUFFIXES[word]}"
        elif word.lower() in PREFIXES:
            power = PREFIXES[word.lower()]
        else:
            factors.append((word if word == "Btu" else word[0].lower() + word[1:]) + (f" ** {power}" if power else ""))
            power = 0
    return " * ".join(factors) or "1"
