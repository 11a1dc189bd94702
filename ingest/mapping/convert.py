"""A field's value → its signal's, as the mapping says: the one that `values` names, or `value * scale + offset` in the model's
unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest.mapping.declaration import Target


@dataclass(frozen=True, slots=True)
class Conversion:
    """`values` empty: the numbers are scaled by (factor, offset)."""

    values: Mapping[Any, Any]
    scale: tuple[float, float]

    def __call__(self, value: Any) -> Any:
        """Raises: ValueError saying what does not fit."""
        if self.values:
            if not isinstance(value, str | int | float) or value not in self.values:
                raise ValueError(f"is not one of {', '.join(map(str, self.values))}")
            return self.values[value]
        if type(value) not in (int, float):
            raise ValueError("must be a number, to be converted")
        return value * self.scale[0] + self.scale[1]

    def numbers(self, values: Any) -> Any:
        """A whole column at once, as an array of float64; what is beyond all numbers becomes infinite."""
        with np.errstate(over="ignore"):
            return np.asarray(values, np.float64) * self.scale[0] + self.scale[1]


def conversion_of(target: Target, unit: str) -> Conversion | None:
    """None where the value stays as it comes. `unit`: of the model's signal. Raises: ValueError when the units do not fit."""
    return None if target.plain else Conversion(target.values, (1.0, 0.0) if target.values else target.scaled(unit))
