"""Options of a protocol, as a mapping file gives them: typed, described, none unknown."""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import MappingError, nearest
from ingest.mapping.declaration import Mapping


class Options(BaseModel):
    """Of one protocol; a field is an option, its description is what `twingraph sources options` says of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @classmethod
    def of(cls, mapping: Mapping) -> Self:
        """Raises: MappingError naming the option."""
        return cls.read(mapping.options, mapping.source)

    @classmethod
    def read(cls, given: dict[str, Any], where: str) -> Self:
        """An option without a value is as one that is left out. Raises: MappingError naming the option."""
        try:
            return cls.model_validate({name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            name, *rest = [str(step) for step in first["loc"] if not _is_kind(step)] or [""]
            known = [field.alias or key for key, field in cls.model_fields.items()]
            if first["type"] == "missing" and not rest:
                raise MappingError(f"options need {name}", where=where, hint=cls._said(name)) from error
            if first["type"] == "extra_forbidden" and not rest:
                hint = nearest(name, known, f"options are {', '.join(known)}")
                raise MappingError(f"no option {name!r}", where=where, hint=hint) from error
            if not first["loc"]:
                raise MappingError(f"options {first['msg'].removeprefix('Value error, ')}", where=where) from error
            place = ".".join(["options", name, *rest]).rstrip(".")
            raise MappingError(f"{place}: {first['msg'].removeprefix('Value error, ')}", where=where) from error

    @classmethod
    def _said(cls, name: str) -> str:
        return next((field.description or "" for key, field in cls.model_fields.items() if (field.alias or key) == name), "")

    @classmethod
    def rows(cls) -> Iterator[tuple[str, str, str, str]]:
        """(name, type, default, description) of each option."""
        for key, field in cls.model_fields.items():
            kind = getattr(field.annotation, "__name__", None) if not getattr(field.annotation, "__args__", None) else None
            default = "required" if field.is_required() else "" if field.default in (None, "", ()) else str(field.default)
            yield field.alias or key, kind or str(field.annotation).replace("typing.", ""), default, field.description or ""


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
