"""Payloads as plants send them: rule and body in, points out. No database: what is tried is what messages become."""

import gzip
import zlib
from typing import Any, cast

import orjson
import ormsgpack
import pytest
import yaml
import zstandard

from app.dtdl import compile_models, read_documents
from app.dtdl.extensions import families
from app.errors import MessageError
from app.twins.directory import Directory
from ingest.mapping.declaration import SourceMapping
from ingest.mapping.match import Matcher
from ingest.mapping.units import conversion
from ingest.payload.lineprotocol import lines
from ingest.payload.unpack import LONGEST
from ingest.pipeline.assemble import Assembled, Assembler
from ingest.source import Message
from tests.conftest import ROOT

CATALOG = compile_models(read_documents([ROOT / "dtdl_models"])[0])
AT = 1_764_000_000_000
TEXT = "2025-11-24T16:00:00Z"  # AT
T1 = {"power": {AT: 1.5}}
T1_AND_2 = {"power": {AT: 1.5, AT + 1000: 2.5}}


class Known(dict[str, str]):
    """A directory of one turbine."""

    def refresh(self) -> None:
        return None


def assembled(rule: str, body: Any, attributes: Any = None) -> Assembled:
    rules = [{"match": "a/{unit}", "twin": "{unit}"} | (yaml.safe_load(rule) or {})]
    mapping = SourceMapping.model_validate({"source": "s", "protocol": "mqtt", "rules": rules})
    matcher = Matcher(mapping, cast(Directory, Known(t1=CATALOG.interface("Turbine").dtmi)))
    return Assembler("s", CATALOG, matcher, 600).assemble([Message("a/t1", body, attributes=attributes)])


def points(found: Assembled) -> dict[str, dict[int, Any]]:
    return {
        signal: dict(zip(series.signal_times(signal), values, strict=True))
        for series in found.batch.series
        for signal, values in series.columns.items()
    }


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("{quality: q, readings: {name: n, value: v}}", {"n": "power", "v": 1.5, "q": "Bad", "ts": AT}),
        ("{quality: q, readings: {name: n, value: v}, fields: all}", {"all": [{"n": "power", "v": 1.5}], "q": "Bad", "ts": AT}),
        ("{quality: q, fields: data}", {"data": {"power": 1.5}, "q": 0, "ts": AT}),
        ("{quality: meta.q}", {"power": 1.5, "meta": {"q": "Bad"}, "ts": AT}),
    ],
)
def test_the_quality_may_lie_anywhere(rule: str, body: Any) -> None:
    found = assembled(rule, orjson.dumps(body))
    assert points(found) == {}
    assert [(one.signal, one.said, one.at) for one in found.batch.qualities] == [("power", "Bad", AT)]


def test_qualities_are_told_in_order_of_time_each_change_once() -> None:
    said = [("Good", 3), ("Bad", 1), ("Bad", 2), ("Good", 0)]
    body = [{"ts": AT + second, "power": 1.0, "q": word} for word, second in said]
    found = assembled("{quality: q}", orjson.dumps(body)).batch.qualities
    assert [(one.said, one.at - AT) for one in found] == [("Good", 0), ("Bad", 1), ("Good", 3)]


@pytest.mark.parametrize("body", [b'{"power": 1.5}', gzip.compress(b'{"power": 1.5}')])
def test_a_cloudevents_attributes_may_come_beside_its_data(body: bytes) -> None:
    attributes = {"specversion": "1.0", "time": TEXT}
    assert points(assembled("{payload: cloudevents}", body, attributes)) == T1
    assert points(assembled("{}", body + b"", attributes | {"time": "never"}))["power"].keys() != {AT}


def test_data_cannot_change_the_attributes_beside_it() -> None:
    found = assembled("{payload: cloudevents}", b'{"power": 1.5}, "time": "2020-01-01T00:00:00Z"', {"specversion": "1.0"})
    assert (points(found), found.rejected) == ({}, {"NOT_JSON": 1})


@pytest.mark.parametrize(
    ("given", "stored", "said"),
    [
        ("Good", T1, "Good"),
        ("good", T1, "Good"),
        (192, T1, "Good"),
        (True, T1, "Good"),
        ("UNCERTAIN_SubNormal", T1, "Uncertain_SubNormal"),
        (64, T1, "Uncertain"),
        ("Bad", {}, "Bad"),
        ("bad, sensor failure", {}, "Bad, sensor failure"),
        (0, {}, "Bad"),
        (False, {}, "Bad"),
        ("", {}, "Bad"),
        ("questionable", T1, "questionable"),
        (None, T1, "Good"),
        ("0", {}, "Bad"),
        ("192", T1, "Good"),
        ("²", T1, "²"),
        ("OK", T1, "Good"),
        ("false", {}, "Bad"),
        ([1], {}, "Bad"),
    ],
)
def test_a_field_may_say_the_quality(given: Any, stored: Any, said: str) -> None:
    found = assembled("{quality: q}", orjson.dumps({"ts": AT, "power": 1.5, "q": given}))
    assert points(found) == stored
    assert [(one.signal, one.said, one.at) for one in found.batch.qualities] == [("power", said, AT)]
    assert not found.rejected


@pytest.mark.parametrize(
    ("rule", "body", "expected"),
    [
        ("{}", b'{"ts": 1764000000000, "power": 1.5}', T1),
        ("{}", b'{"ts": 1764000000, "power": 1.5}', T1),
        ("{}", f'{{"ts": "{TEXT}", "power": 1.5}}'.encode(), T1),
        ("{}", b'[{"ts": 1764000000, "power": 1.5}, {"ts": 1764000001, "power": 2.5}]', T1_AND_2),
        ("{time: t, fields: body.values}", b'{"t": 1764000000, "body": {"values": {"power": 1.5}}}', T1),
        ("{fields: rows}", b'{"rows": [{"ts": 1764000000, "power": 1.5}, {"ts": 1764000001, "power": 2.5}]}', T1_AND_2),
        ("{time: timestamp, readings: {name: n, value: v}}", b'[{"n": "power", "v": 1.5, "timestamp": 1764000000}]', T1),
        ("{fields: m, readings: {name: n, value: v}}", b'{"ts": 1764000000, "m": [{"n": "power", "v": 1.5}]}', T1),
        ("{signals: {el.p: power}}", b'{"ts": 1764000000, "el": {"p": 1.5}}', T1),
        ("{payload: csv}", b"ts,power\r\n1764000000,1.5\r\n1764000001,2.5\r\n", T1_AND_2),
        ("{payload: csv}", "\ufeffts,power\n2025-11-24T16:00:00Z,1.5\n".encode(), T1),
        ("{payload: csv, columns: [ts, power]}", b"1764000000,1.5", T1),
        ("{payload: csv}", b'ts,power,operatingState\n1764000000,1.5,"running"\n', T1 | {"operatingState": {AT: "running"}}),
        ("{payload: csv}", b"ts,power,windSpeed\n1764000000,1.5,\n", T1),
        ("{payload: msgpack}", ormsgpack.packb({"ts": 1764000000, "power": 1.5}), T1),
        (
            "{payload: cloudevents}",
            orjson.dumps({"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "time": TEXT, "data": {"power": 1.5}}),
            T1,
        ),
        ("{payload: cloudevents}", b'[{"specversion": "1.0", "data": {"ts": 1764000000, "power": 1.5}}]', T1),
        (
            "{payload: cloudevents}",
            b'{"specversion":"1.0","time":"2025-11-24T16:00:00Z","data_base64":"eyJwb3dlciI6MS41fQ=="}',
            T1,
        ),
        ("{}", gzip.compress(b'{"ts": 1764000000, "power": 1.5}'), T1),
        ("{}", zlib.compress(b'{"ts": 1764000000, "power": 1.5}'), T1),
        ("{}", zstandard.compress(b'{"ts": 1764000000, "power": 1.5}'), T1),
        ("{signals: {P_W: {to: power, unit: watt}}}", b'{"ts": 1764000000, "P_W": 1500}', T1),
        ("{signals: {p: {to: power, scale: 0.1, offset: -1}}}", b'{"ts": 1764000000, "p": 25}', T1),
        ("{signals: {w: {to: windSpeed, unit: km/h}}}", b'{"ts": 1764000000, "w": 36}', {"windSpeed": {AT: 10.0}}),
        (
            "{signals: {m: {to: operatingState, values: {1: running, halt: stopped}}}}",
            b'[{"ts": 1764000000, "m": 1}, {"ts": 1764000001, "m": "halt"}]',
            {"operatingState": {AT: "running", AT + 1000: "stopped"}},
        ),
        ("{fixed: {operatingState: running}}", b'{"ts": 1764000000, "power": 1.5}', T1 | {"operatingState": {AT: "running"}}),
    ],
)
def test_a_payload_becomes_points(rule: str, body: bytes, expected: dict[str, Any]) -> None:
    found = assembled(rule, body)
    assert points(found) == expected
    assert found.rejected == {}


@pytest.mark.parametrize(
    ("rule", "body", "code", "said"),
    [
        ("{payload: csv}", b"ts,power\n1764000000\n", "NOT_CSV", "row 1 has 1 values for 2 columns"),
        ("{payload: csv}", b"\xff\xfe", "NOT_CSV", "not CSV"),
        ("{payload: msgpack}", b"\xc1", "NOT_MSGPACK", "not MessagePack"),
        ("{payload: msgpack}", b"\x01", "NOT_AN_OBJECT", "must be an object"),
        ("{payload: cloudevents}", b'{"data": {}}', "NOT_A_CLOUDEVENT", "no specversion"),
        ("{payload: cloudevents}", b'{"specversion": "1.0", "data_base64": "?"}', "NOT_A_CLOUDEVENT", "not Base64"),
        ("{fields: rows}", b'{"ts": 1764000000}', "NO_FIELDS", "no 'rows' in the message"),
        ("{readings: {name: n, value: v}}", b'{"n": "power"}', "NOT_A_READING", "needs 'n' and 'v'"),
        ("{}", gzip.compress(b"{}")[:-4], "NOT_GZIP", "ends early"),
        ("{}", gzip.compress(b" " * (LONGEST + 1)), "TOO_LARGE", "at most"),
        ("{}", zstandard.compress(b" " * (LONGEST + 1)), "TOO_LARGE", "at most"),
        ("{}", zstandard.compress(b"{}")[:-1], "NOT_ZSTD", "ends early"),
        ("{signals: {P_W: {to: power, unit: watt}}}", b'{"P_W": "much"}', "SCHEMA_VIOLATION", "must be a number"),
        ("{signals: {m: {to: operatingState, values: {1: running}}}}", b'{"m": 7}', "VALUE_REFUSED", "is not one of 1"),
        ("{signals: {m: {to: operatingState, values: {1: asleep}}}}", b'{"m": 1}', "VALUE_REFUSED", "asleep"),
        ("{}", b" " * (LONGEST + 1), "TOO_LARGE", "at most 16,777,216 bytes"),
        ("{}", b"[" + b"{}," * 600_000 + b"{}]", "TOO_LARGE", "at most 500,000 objects and arrays"),
        ("{payload: cloudevents}", b"[" + b"[]," * 600_000 + b"[]]", "TOO_LARGE", "at most 500,000"),
        ("{payload: msgpack}", b"\xdd\x00\xff\xff\xff" + b"\x80" * 0xFFFFFF, "TOO_LARGE", "at most"),
        ("{payload: msgpack}", b"\xdd\x00\x2f\xff\xff" + b"\x80" * 0x2FFFFF, "TOO_LARGE", "at most 2,097,152 bytes"),
        ("{payload: csv}", b"ts,power\n" * 300_000, "TOO_LARGE", "at most 200,000 lines"),
        ("{}", b'{"ts": 1e300, "power": 1}', "TIME_INVALID", "is no time"),
        ("{}", b'{"ts": "9999-12-31T23:59:59-23:59", "power": 1}', "CLOCK_SKEW", "not plausible"),
    ],
)
def test_what_is_wrong_is_said(rule: str, body: bytes, code: str, said: str) -> None:
    found = assembled(rule, body)
    assert found.rejected == {code: 1}
    assert said in found.batch.deadletters[0]["reason"]
    assert found.batch.deadletters[0]["payload"] == body[:64_000]


@pytest.mark.parametrize("rule", ["{payload: csv}", "{payload: csv, signals: {power: {to: power, scale: 10}}}"])
def test_a_number_beyond_all_bounds_is_no_reading(rule: str) -> None:
    """F10: the point is refused and counted, the others are kept."""
    found = assembled(rule, b"ts,power\n1764000000," + b"1" * 400 + b"\n1764000001,1e308\n1764000002,1\n")
    assert list(points(found)["power"])[-1] == AT + 2000
    assert found.rejected["NOT_FINITE"] >= 1


def test_a_message_of_faults_alone_ends_early() -> None:
    found = assembled("{}", b"[" + b"0," * 100_000 + b"0]")
    assert found.rejected == {"NOT_AN_OBJECT": 100, "TOO_MANY_FAULTS": 1}


def test_the_rest_of_a_message_is_kept() -> None:
    found = assembled("{}", b'[{"ts": 1764000000, "power": 1.5}, 7, {"ts": 1764000001, "power": "x", "windSpeed": 3.5}]')
    assert points(found) == {"power": {AT: 1.5}, "windSpeed": {AT + 1000: 3.5}}
    assert found.rejected == {"NOT_AN_OBJECT": 1, "SCHEMA_VIOLATION": 1}
    assert len(found.batch.deadletters) == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("m f=1 1764000000000000000", ("m", {"f": 1.0}, AT)),
        ("m,a=b f=1i,g=2u,h=t,i=False", ("m,a=b", {"f": 1, "g": 2, "h": True, "i": False}, None)),
        (r'm\ x,a=b\,c f\ g="say \"hi\", you",h=1e3', ("m x,a=b,c", {"f g": 'say "hi", you', "h": 1000.0}, None)),
        ("m f=-1.5e-3 -5000000", ("m", {"f": -0.0015}, -5)),
        ("m", None),
        ("m f=", None),
        ("m f=1 2 3", None),
        ("m f=1x", None),
        ('m f="open', None),
        ("m f=1,,g=2", None),
    ],
)
def test_line_protocol(line: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(MessageError, match="line 1"):
            list(lines(line.encode()))
    else:
        assert list(lines(line.encode())) == [expected]


@pytest.mark.parametrize(
    ("given", "wanted", "value", "expected"),
    [
        ("watt", "kilowatt", 1500, 1.5),
        ("degreeFahrenheit", "degreeCelsius", 212, 100),
        ("knot", "metrePerSecond", 1, 0.5144444),
        ("km/h", "metrePerSecond", 36, 10),
        ("revolutionPerMinute", "radianPerSecond", 60, 6.2831853),
        ("poundPerSquareInch", "kilopascal", 1, 6.894757),
        ("cubicMetrePerHour", "litrePerSecond", 3.6, 1),
        ("kilowattHour", "joule", 1, 3.6e6),
        ("percent", "unity", 50, 0.5),
    ],
)
def test_units_are_converted(given: str, wanted: str, value: float, expected: float) -> None:
    factor, offset = conversion(given, wanted)
    assert value * factor + offset == pytest.approx(expected, rel=1e-6)


def test_units_of_dtdl_are_known() -> None:
    known = {unit for number in range(4) for _, units in families(number).values() for unit in units}
    unknown = set()
    for unit in known:
        try:
            assert conversion(unit, unit) == (1, 0)
        except ValueError:
            unknown.add(unit)
    # parts per billion and more mean two numbers each, a bel is logarithmic
    assert unknown <= {"bel", "decibel", "partsPerBillion", "partsPerTrillion", "partsPerQuadrillion"} | {
        "kiloBritishThermalUnit",
        "kiloBritishThermalUnitPerHour",
    }


@pytest.mark.parametrize(("given", "said"), [("parsec", "cannot be converted"), ("wat", "is no unit"), ("1 +", "is no unit")])
def test_a_unit_that_does_not_fit_is_refused(given: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        conversion(given, "kilowatt")
