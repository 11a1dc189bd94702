"""Compressed bodies → their bytes, never more than a limit."""

import zlib

from app.errors import MessageError

LONGEST, MOST_MEMBERS = 16 * 1024**2, 1000
SHORT = 64 * 1024  # bytes: of nothing larger is anything counted
OPENED, LINES, PACKED = 500_000, 200_000, 2 * 1024**2  # objects and arrays, lines of CSV, bytes of MessagePack
STEP = 512  # bytes of zstd at a time: even these can become megabytes
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def require_few(body: bytes) -> None:
    """That JSON becomes no multitude of objects: each takes some hundred bytes, however few it was sent in.

    Raises: MessageError."""
    if len(body) > SHORT and body.count(b"{") + body.count(b"[") > OPENED:
        raise MessageError(f"a message has at most {OPENED:,} objects and arrays", code="TOO_LARGE")


def require_short(body: bytes, most: int = LONGEST) -> None:
    """Raises: MessageError."""
    if len(body) > most:
        raise MessageError(f"a message has at most {most:,} bytes", code="TOO_LARGE")


def unpacked(body: bytes) -> bytes:
    """The body, unpacked where it begins as gzip, zlib or zstd does. Raises: MessageError."""
    require_short(body)
    head = body[:4]
    if head[:2] == GZIP or head[:2] in ZLIB:
        return inflated(body)
    return _zstd(body) if head == ZSTD else body


def inflated(body: bytes) -> bytes:
    """All members of a gzip or zlib stream. Raises: MessageError."""
    parts, room = [], LONGEST
    members = 0
    while body:
        members += 1
        if members > MOST_MEMBERS:
            raise MessageError(f"more than {MOST_MEMBERS} members", code="TOO_LARGE")
        unpack = zlib.decompressobj(wbits=47)
        try:
            parts.append(unpack.decompress(body, room + 1))
        except zlib.error as error:
            raise MessageError("the body is not gzip", code="NOT_GZIP") from error
        room -= len(parts[-1])
        if room < 0:
            raise MessageError(f"a body has at most {LONGEST:,} bytes unpacked", code="TOO_LARGE")
        if not unpack.eof:
            raise MessageError("the body ends early", code="NOT_GZIP")
        body = unpack.unused_data
    return b"".join(parts)


def _zstd(body: bytes) -> bytes:
    import zstandard

    unpack, parts, room = zstandard.ZstdDecompressor().decompressobj(), [], LONGEST
    for start in range(0, len(body), STEP):
        try:
            parts.append(unpack.decompress(body[start : start + STEP]))
        except zstandard.ZstdError as error:
            raise MessageError(f"the body is not zstd: {error}", code="NOT_ZSTD") from error
        room -= len(parts[-1])
        if room < 0:
            raise MessageError(f"a body has at most {LONGEST:,} bytes unpacked", code="TOO_LARGE")
        if unpack.eof:
            return b"".join(parts)
    raise MessageError("the body ends early", code="NOT_ZSTD")
