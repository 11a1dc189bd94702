"""Address → route. Each address is matched once; the memory is bounded."""

from dataclasses import dataclass

from app.twins.directory import Directory
from ingest.mapping import Mapping, Rule, fill, pattern

REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class Route:
    """Where messages of one address go. `model` is the twin's DTMI, `signal` the only signal, where the address says."""

    rule: Rule
    dt_id: str
    model: str
    signal: str | None


class Matcher:
    def __init__(self, mapping: Mapping, directory: Directory) -> None:
        self._rules = [(pattern(rule.match), rule) for rule in mapping.rules]
        self._mapping, self._directory = mapping, directory
        self._routes: dict[str, Route] = {}

    def route(self, address: str) -> Route | str:
        """The route, or why there is none."""
        found = self._routes.get(address)
        return found if found is not None else self._match(address)

    def forget(self) -> None:
        self._routes.clear()

    def wanted(self, address: str) -> tuple[str, str] | None:
        """(dtId, model) of the twin that a rule with `create` would make for this address."""
        for regex, rule in self._rules:
            if rule.create and (match := regex.fullmatch(address)):
                return fill(rule.twin, match.groupdict()), rule.create
        return None

    def _match(self, address: str) -> Route | str:
        for regex, rule in self._rules:
            match = regex.fullmatch(address)
            if match is None:
                continue
            parts = match.groupdict()
            dt_id = fill(rule.twin, parts)
            if not self._mapping.may_touch(dt_id):
                return f"the source is not bound to {dt_id!r}"
            model = self._directory.get(dt_id)
            if model is None:
                return f"no twin {dt_id!r}"
            signal = parts.get(rule.signal) if rule.signal else None
            if len(self._routes) >= REMEMBERED:
                self._routes.clear()
            route = self._routes[address] = Route(rule, dt_id, model, rule.signals.get(signal, signal) if signal else None)
            return route
        return "no rule matches the address"


def twin_parts(template: str, dt_id: str) -> dict[str, str] | None:
    match = pattern(template).fullmatch(dt_id)
    return match.groupdict() if match else None
