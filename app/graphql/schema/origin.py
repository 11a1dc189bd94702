"""What a field of the schema reads in the graph: the one thing that types, selection and shape share. A class for each kind;
who handles kinds matches on the class, and an unknown one fails."""

from dataclasses import dataclass
from typing import Any

ORIGIN = "origin"
TYPE_KEY = "\x00type"


@dataclass(frozen=True, slots=True)
class Origin:
    """`key`: the property, relationship or label in the graph."""

    key: str = ""


# Of a twin itself ----------------------------------------------------------------------------------------------------


class System(Origin):
    """dtId, model or etag, as they lie."""


class Instant(Origin):
    """Epoch milliseconds, shown as a moment."""


class Properties(Origin):
    """Everything that is set, as one object."""


class Signals(Origin):
    """Latest telemetry, as a list."""


class Points(Origin):
    """The history of one signal, as points or buckets."""


class Columns(Origin):
    """The history of several signals, in columns."""


# Values --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Valued(Origin):
    """`signal`: of telemetry, how its past lies in segments (`app.graph.select.tree.Value`)."""

    signal: str = ""
    unit: str = ""


class AsIs(Valued):
    """A number, text or boolean."""


class Converted(Valued):
    """A temporal value or a point, as JSON has it."""


class EnumValue(Valued):
    """What is stored of an enum, as its name."""


class EnumList(Valued):
    """Several of them."""


class ValueList(Valued):
    """A list of primitives."""


class JsonText(Valued):
    """What lies as JSON text."""


class ObjectList(Valued):
    """Objects that lie as JSON text."""


@dataclass(frozen=True, slots=True)
class FlatObject(Valued):
    """An object whose fields are properties of their own."""

    fields: tuple[str, ...] = ()


NUMBER = AsIs()


@dataclass(frozen=True, slots=True)
class Reading(Origin):
    """The latest value of a signal, with its time and quality; `of` is that of the value."""

    of: Valued = NUMBER
    unit: str = ""


# Other twins ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RelatedTwins(Origin):
    """`target`: the DTMI of the twins beyond; `part`: a component, no twin of its own."""

    outgoing: bool = True
    target: str = ""
    single: bool = False
    part: bool = False


class Links(RelatedTwins):
    """The same by pages, with the relationship's own properties."""


class Totals(RelatedTwins):
    """Measures over them."""


@dataclass(frozen=True, slots=True)
class Reach(Origin):
    """Twins over several relationships."""

    outgoing: bool = True


# Fields of the root; `key` is the label ------------------------------------------------------------------------------


class OneTwin(Origin):
    """The one with a dtId."""


class TwinList(Origin):
    """Those that fit."""


class TwinPages(Origin):
    """Those that fit, by pages."""


class TwinMeasures(Origin):
    """Measures over those that fit."""


@dataclass(frozen=True, slots=True)
class TwinGroups(Origin):
    """Measures by groups; `type_name`: what the type of the grouped twins is called in this schema."""

    type_name: str = ""


class TwinPath(Origin):
    """A shortest path between two twins."""


# Parts of these; `key` is the part's name ----------------------------------------------------------------------------


class Part(Origin):
    """A part of a page, group, path, reading or point: known by its name."""


TYPENAME = Part("__typename")


# Of filters ----------------------------------------------------------------------------------------------------------


class AllOf(Origin):
    """and"""


class AnyOf(Origin):
    """or"""


class NoneOf(Origin):
    """not"""


class Nothing(Origin):
    """A condition of an object without fields."""


def by_key(source: Any, info: Any, **arguments: Any) -> Any:
    """In the executor a compiled field's value lies ready under its response key."""
    return source[info.path.key]


def resolve_type(value: Any, info: Any, type_: Any) -> str:
    return str(value[TYPE_KEY])
