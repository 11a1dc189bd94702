"""What is predicted: kinds and signals, declared beside the models in `prognosis.yaml`."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from app.errors import PredictionError
from app.predict.features import SIGNALS
from app.settings import ROOT

FILE = ROOT / "dtdl_models" / "wind" / "prognosis.yaml"


class Declaration(BaseModel):
    """`signals`: input of the features → names of telemetry; `counters`: telemetry whose values of a bin are added up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[str, ...]
    signals: dict[str, tuple[str, ...]]
    counters: frozenset[str] = frozenset()

    @model_validator(mode="after")
    def _agrees(self) -> "Declaration":
        if set(self.signals) != set(SIGNALS):
            raise ValueError(f"signals must be {', '.join(SIGNALS)}")
        names = [name for telemetry_names in self.signals.values() for name in telemetry_names]
        if len(set(names)) < len(names) or len(set(self.kinds)) < len(self.kinds):
            raise ValueError("a kind or a telemetry is named twice")
        if unknown := self.counters - set(names):
            raise ValueError(f"counters are no signals: {', '.join(sorted(unknown))}")
        return self

    @property
    def columns(self) -> dict[str, int]:
        """Telemetry → its place among the inputs."""
        return {name: SIGNALS.index(signal) for signal, telemetry_names in self.signals.items() for name in telemetry_names}


@cache
def declared(file: Path = FILE) -> Declaration:
    """Raises: PredictionError for a file that cannot be read or says something else."""
    try:
        return Declaration.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PredictionError(f"the declaration cannot be read: {error}", where=str(file)) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise PredictionError(f"{place}: {first['msg']}".lstrip(": "), where=str(file)) from error
