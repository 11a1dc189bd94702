"""Options of a protocol, as a mapping file gives them: typed, described, none unknown."""

import re
from collections.abc import Iterator
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import MappingError, nearest
from ingest.mapping.declaration import SourceMapping


class Options(BaseModel):
    """Of one protocol; a field is an option, its description is what `twingraph sources options` says of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @classmethod
    def of(cls, mapping: SourceMapping) -> Self:
        """Raises: MappingError naming the option."""
        return cls.read(mapping.options, mapping.source)

    @classmethod
    def read(cls, values: dict[str, Any], where: str) -> Self:
        """An option without a value is as one that is left out. Raises: MappingError naming the option."""
        try:
            return cls.model_validate({name: value for name, value in values.items() if value is not None})
        except ValidationError as error:
            hints = [hint for hint in (cls._hint(problem) for problem in error.errors()) if hint]
            what = "; ".join(cls._what(problem) for problem in error.errors())
            raise MappingError(what, where=where, hint="; ".join(dict.fromkeys(hints))) from error

    @classmethod
    def _what(cls, error: Any) -> str:
        """What is wrong with one option."""
        name, rest = _place(error)
        inside, last = ".".join(("options", name, *rest)[:-1]), (name, *rest)[-1]
        if error["type"] == "missing":
            return f"{inside} needs {last}" if rest else f"options need {name}"
        if error["type"] == "extra_forbidden":
            return f"{inside}: no option {last!r}" if rest else f"no option {name!r}"
        message = error["msg"].removeprefix("Value error, ")
        return f"options.{'.'.join((name, *rest))}: {message}" if name else f"options {message}"

    @classmethod
    def _hint(cls, error: Any) -> str:
        name, rest = _place(error)
        descriptions = {field.alias or key: field.description or "" for key, field in cls.model_fields.items()}
        if error["type"] == "missing" and not rest:
            return descriptions.get(name, "")
        if error["type"] == "extra_forbidden" and not rest:
            return nearest(name, descriptions, f"options are {', '.join(descriptions)}")
        if error["type"] == "literal_error":
            return nearest(str(error["input"]), re.findall(r"'([^']*)'", error["ctx"]["expected"]))
        return ""

    @classmethod
    def rows(cls) -> Iterator[tuple[str, str, str, str]]:
        """(name, type, default, description) of each option."""
        for key, field in cls.model_fields.items():
            kind = getattr(field.annotation, "__name__", None) if not getattr(field.annotation, "__args__", None) else None
            default = "required" if field.is_required() else "" if field.default in (None, "", ()) else str(field.default)
            yield field.alias or key, kind or MODULES.sub("", str(field.annotation)), default, field.description or ""


MODULES = re.compile(r"\b(?:\w+\.)+(?=\w)")


def _place(error: Any) -> tuple[str, tuple[str, ...]]:
    """(option, the way on inside it)."""
    name, *rest = [str(step) for step in error["loc"] if not _is_kind(step)] or [""]
    return name, tuple(rest)


def _is_kind(step: int | str) -> bool:
    """Whether a step of a place is pydantic's name of a member of a union."""
    return step in ("str", "bool") or str(step).startswith("tuple[")


class BrokerOptions(Options):
    """Which MQTT broker, and how to log in there."""

    host: str = Field("", description="broker; without it, the one of the settings")
    port: int = Field(0, ge=0, le=65535, description="its port; without it, that of the settings")
    user: str = Field("", description="user name at `host`")
    password_variable: str = Field("", description="environment variable with the password at `host`")
    tls: bool = Field(False, description="TLS, with the system's certificate authorities")
    ca: str = Field("", description="file: who signed the broker's certificate (PEM); switches TLS on")
    certificate: str = Field("", description="file: our client certificate (PEM); switches TLS on")
    key: str = Field("", description="file: its key (PEM)")
