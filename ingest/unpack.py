"""Compressed bodies → their bytes, never more than a limit."""

import zlib

from app.errors import MessageError

LONGEST = 16 * 1024**2
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def unpacked(body: bytes) -> bytes:
    """The body, unpacked where it begins as gzip, zlib or zstd does. Raises: MessageError."""
    head = body[:4]
    if head[:2] == GZIP or head[:2] in ZLIB:
        return inflated(body)
    return _zstd(body) if head == ZSTD else body


def inflated(body: bytes) -> bytes:
    """All members of a gzip or zlib stream. Raises: MessageError."""
    parts, room = [], LONGEST
    while body:
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

    try:
        with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as stream:
            made = stream.read(LONGEST + 1)
    except zstandard.ZstdError as error:
        raise MessageError(f"the body is not zstd: {error}", code="NOT_ZSTD") from error
    if len(made) > LONGEST:
        raise MessageError(f"a body has at most {LONGEST:,} bytes unpacked", code="TOO_LARGE")
    return made
