"""What messages would become, as text for people; nothing is written."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from app.errors import MappingError
from ingest.pipeline.assemble import Assembled, Assembler
from ingest.source import Message


def samples(path: Path) -> list[Message]:
    """A message a line: its address, a space or tab, its payload. Raises: MappingError with the line, OSError."""
    messages = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            address, *rest = line.split(None, 1)
            if not rest:
                raise MappingError("a line is an address, a space, a payload", where=f"{path}:{number}")
            messages.append(Message(address.decode(errors="replace"), rest[0]))
    return messages


def described(assemblers: Mapping[str, Assembler], message: Message) -> Iterator[str]:
    """Through the first source that has a rule for it: what it writes, and what it sets aside."""
    yield message.address
    tried = [(source, _created(assembler, message), assembler.assemble([message])) for source, assembler in assemblers.items()]
    source, created, assembled = next((attempt for attempt in tried if "NO_RULE" not in attempt[2].rejected), tried[0])
    yield from (f"  {source}: {line}" for line in (*created, *_lines(assembled)))


def _created(assembler: Assembler, message: Message) -> list[str]:
    """What would be created first; from here on it counts as there."""
    twins, links = assembler.missing([message])
    for twin in twins:
        assembler.matcher.assume(twin.dt_id, assembler.catalog.interface(twin.model).dtmi)
    lines = [f"would create {twin.dt_id} ({twin.model})" for twin in twins]
    return lines + [f"would relate {link.source} -{link.name}-> {link.target}" for link in links]


def _lines(assembled: Assembled) -> Iterator[str]:
    batch = assembled.batch
    for series in batch.series:
        for signal, values in series.columns.items():
            at = datetime.fromtimestamp(series.signal_times(signal)[-1] / 1000, UTC).isoformat(timespec="milliseconds")
            yield f"{series.dt_id}.{signal} = {values[-1]!r} at {at}"
    for event in batch.events:
        yield f"{event.dt_id}: {event.kind} {event.properties.get('code', '')}"
    for closed in batch.closed:
        yield f"{closed['dtId']}: alarm {closed['code']} ends"
    for answer in batch.answers:
        yield f"answer to command {answer['id']}: {answer['status']}"
    for letter in batch.deadletters:
        yield f"refused, {letter['code']}: {letter['reason']}"
    if not_finite := assembled.rejected.get("NOT_FINITE"):
        yield f"refused, NOT_FINITE: {not_finite} values"
