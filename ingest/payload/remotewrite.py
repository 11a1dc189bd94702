"""Prometheus' remote write 1.0: a snappy block of protobuf → samples.

The address that rules match is the series, its labels in order: `power,instance=t1,job=farm`; the field is `value`. What
Prometheus marks as gone is stale from then on."""

import struct
from collections.abc import Iterator
from typing import Any

from app.errors import MessageError
from ingest.payload.unpack import LONGEST
from ingest.source import DeviceState

MOST_SAMPLES = 100_000
GONE = struct.pack(">Q", 0x7FF0000000000002)


def samples(body: bytes) -> Iterator[tuple[str, dict[str, Any] | DeviceState, int | None]]:
    """`(address, fields, epoch ms)` of each sample. Raises: MessageError."""
    try:
        request = _request(body)
    except ModuleNotFoundError as error:
        raise MessageError(
            f"remote write needs {error.name}: pip install 'twingraph[prometheus]'", code="MEDIA_TYPE"
        ) from error
    if sum(len(series.samples) for series in request.timeseries) > MOST_SAMPLES:
        raise MessageError(f"a request has at most {MOST_SAMPLES:,} samples", code="TOO_LARGE")
    for series in request.timeseries:
        labels = {_text(label.name): _text(label.value) for label in series.labels}
        name = labels.pop("__name__", "")
        address = ",".join([name, *(f"{label}={labels[label]}" for label in sorted(labels))])
        for sample in series.samples:
            if struct.pack(">d", sample.value) == GONE:
                yield address, DeviceState(False, sample.timestamp), None
            else:
                yield address, {"value": sample.value}, sample.timestamp


def _text(label: Any) -> str:
    """A label's, with a backslash before what ends a part of an address."""
    if not isinstance(label, str):
        raise MessageError("a label is not UTF-8", code="NOT_REMOTE_WRITE")
    return label.replace("\\", r"\\").replace(",", r"\,").replace("=", r"\=")


def _request(body: bytes) -> Any:
    import cramjam
    from google.protobuf.message import DecodeError

    from ingest.payload.prometheus_pb2 import WriteRequest

    try:
        if cramjam.snappy.decompress_raw_len(body) > LONGEST:
            raise MessageError(f"a body has at most {LONGEST:,} bytes unpacked", code="TOO_LARGE")
        unpacked = bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise MessageError("the body is not snappy", code="NOT_REMOTE_WRITE") from error
    write_request = WriteRequest()
    try:
        write_request.ParseFromString(unpacked)
    except DecodeError as error:
        raise MessageError("the body is no WriteRequest", code="NOT_REMOTE_WRITE") from error
    return write_request
