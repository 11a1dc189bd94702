"""Address → route. Each address is matched once; the memory is bounded."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.errors import CommandError
from app.twins.directory import Directory
from app.twins.edit import NewRelationship, NewTwin
from ingest.mapping.declaration import CommandRule, Rule, SourceMapping, fill, pattern

REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class Route:
    """Where messages of one address go. `model` is the twin's DTMI, `signal` the only signal, where the address says."""

    rule: Rule
    dt_id: str
    model: str
    signal: str | None


class Matcher:
    def __init__(self, mapping: SourceMapping, directory: Directory) -> None:
        self._rules = [(pattern(rule.match), rule) for rule in mapping.rules]
        self._mapping, self._directory = mapping, directory
        self._creates = any(rule.create for rule in mapping.rules)
        self._routes: dict[str, Route] = {}

    def route(self, address: str) -> Route | str:
        """The route, or why there is none."""
        route = self._routes.get(address)
        return route if route is not None else self._match(address)

    def forget(self) -> None:
        self._routes.clear()

    def wanted(self, addresses: Iterable[str]) -> tuple[list[NewTwin], list[NewRelationship]]:
        """The twins that rules with `create` would make for these addresses, and the relationships that lead to them."""
        twins, links = {}, []
        for address in addresses if self._creates else ():
            if address not in self._routes:
                rule, parts = self._rule_of(address)
                dt_id = fill(rule.twin, parts) if rule else ""
                if rule and rule.create and self._mapping.may_touch(dt_id) and self._directory.get(dt_id) is None:
                    twins[dt_id] = NewTwin(dt_id, rule.create)
                    if rule.under:
                        links.append(NewRelationship(fill(rule.under.twin, parts), rule.under.by, dt_id))
        return list(twins.values()), links

    def assume(self, dt_id: str, model: str) -> None:
        """As if the twin had been created: for what only tells what would be."""
        self._directory.assume(dt_id, model)

    def created(self) -> None:
        self._directory.refresh()

    def _rule_of(self, address: str) -> tuple[Rule | None, dict[str, str]]:
        for regex, rule in self._rules:
            if (match := regex.fullmatch(address)) is not None:
                return rule, match.groupdict()
        return None, {}

    def _match(self, address: str) -> Route | str:
        rule, parts = self._rule_of(address)
        if rule is None:
            return "no rule matches the address"
        dt_id = fill(rule.twin, parts)
        if not self._mapping.may_touch(dt_id):
            return f"the source is not bound to {dt_id!r}"
        model = self._directory.get(dt_id)
        if model is None:
            return f"no twin {dt_id!r}"
        signal = parts.get(rule.signal) if rule.signal else None
        if len(self._routes) >= REMEMBERED:
            self._routes.clear()
        route = self._routes[address] = Route(rule, dt_id, model, rule.signal_of(signal) if signal else None)
        return route


class Commanded:
    """An outlet's knowledge of its mapping's commands."""

    def __init__(self, mapping: SourceMapping) -> None:
        self._mapping = mapping
        self._commands = [(pattern(rule.twin), rule) for rule in mapping.commands]

    def serves(self, dt_id: str) -> bool:
        return self._mapping.may_touch(dt_id) and any(regex.fullmatch(dt_id) for regex, _ in self._commands)

    def _rule(self, dt_id: str) -> tuple[CommandRule, dict[str, str]]:
        """The rule by which a twin that is served is commanded, and the parts of its dtId. Raises: CommandError."""
        for regex, rule in self._commands:
            if (match := regex.fullmatch(dt_id)) is not None:
                return rule, match.groupdict()
        raise CommandError(f"no command of {self._mapping.source} is for {dt_id!r}", where=dt_id)
