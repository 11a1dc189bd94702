"""Select tree → one statement that answers one record, and its parameters in order.

Canonical: names follow depth and position, columns come sorted, every value is a parameter; so equal questions share one
text and Neo4j plans it once. Nested twins are nested `CALL` subqueries that collect lists of columns."""

from dataclasses import dataclass, field

from app.graph.names import quote
from app.graph.select import (
    Both,
    Column,
    Compare,
    Either,
    Everything,
    Exists,
    Fields,
    History,
    Hop,
    IsNull,
    Not,
    Order,
    Param,
    Predicate,
    Related,
    Root,
    Scope,
    Value,
)

OPERATORS = {
    "eq": "{key} = {value}",
    "ne": "{key} <> {value}",
    "in": "{key} IN {value}",
    "gt": "{key} > {value}",
    "gte": "{key} >= {value}",
    "lt": "{key} < {value}",
    "lte": "{key} <= {value}",
    "contains": "{key} CONTAINS {value}",
    "startsWith": "{key} STARTS WITH {value}",
    "endsWith": "{key} ENDS WITH {value}",
    "has": "{value} IN {key}",
}


@dataclass(slots=True)
class Statement:
    """`params[i]` is bound to `$p{i}`."""

    text: str = ""
    params: list[Param] = field(default_factory=list)


def print_root(root: Root) -> Statement:
    made = Statement()
    printer = _Printer(made)
    made.text = printer.root(root)
    return made


class _Printer:
    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._named: dict[Param, str] = {}

    def root(self, root: Root) -> str:
        match = self._match(root)
        parts, answers = [], []
        if root.scope is not None:
            rows = self._rows(match, root.scope, "n", 1)
            parts.append(f"CALL () {{\n{_indent(rows)}\n  RETURN collect({self._list(root.scope, 'n')}) AS rows\n}}")
            answers.append("rows")
        if root.aggregate is not None:
            where = self._where(root.aggregate.where, "n")
            measures = [f"{name}({f'n.{quote(key)}' if key else 'n'})" for name, key in root.aggregate.measures]
            parts.append(f"CALL () {{\n{_indent(match + where)}\n  RETURN [{', '.join(measures)}] AS totals\n}}")
            answers.append("totals")
        return "\n".join([*parts, f"RETURN {', '.join(answers)}"])

    def _match(self, root: Root) -> str:
        if root.dt_id is not None:
            label = f"\nWHERE n:{quote(root.label)}" if isinstance(root.label, str) and root.label != "Twin" else ""
            return f"MATCH (n:Twin {{dtId: {self.param(root.dt_id)}}}){label}"
        if isinstance(root.label, Param):
            return f"MATCH (n:Twin:$({self.param(root.label)}))"
        return f"MATCH (n:{quote(root.label)})"

    def _rows(self, match: str, scope: Scope, node: str, depth: int) -> str:
        glue = "AND" if "\nWHERE " in match else "WHERE"
        text = match + self._where(scope.where, node, glue)
        if scope.after:
            glue = "AND" if "\nWHERE " in text else "WHERE"
            text += f"\n{glue} {self._after(scope, node)}"
        if scope.order or scope.limit or scope.offset:
            orders = [f"{node}.{quote(o.key)}{' DESC' if o.descending else ''}" for o in scope.order]
            text += f"\nWITH {node} ORDER BY {', '.join([*orders, f'{node}.dtId'])}"
            text += f" SKIP {self.param(scope.offset)}" if scope.offset else ""
            text += f" LIMIT {self.param(scope.limit)}" if scope.limit else ""
        for index, column in enumerate(scope.columns):
            text += self._subquery(column, node, f"{node}_{index}", depth)
        return text

    def _subquery(self, column: Column, node: str, name: str, depth: int) -> str:
        if isinstance(column, Related):
            inner = self._rows(f"MATCH {self._hop(column.hop, node, name)}", column.scope, name, depth + 1)
            answer = f"RETURN collect({self._list(column.scope, name)}) AS {name}_"
            return f"\nCALL ({node}) {{\n{_indent(inner)}\n  {answer}\n}}"
        if isinstance(column, History):
            start, end, signal = self.param(column.start), self.param(column.end), quote(column.signal)
            own = quote(f"_dt_{column.signal}")
            return (
                f"\nCALL ({node}) {{\n  MATCH ({node})-[:_HISTORY]->(s:_Segment)"
                f"\n  WHERE s._to >= {start} AND s._from <= {end} AND s.{signal} IS NOT NULL"
                f"\n  RETURN collect([s._from, coalesce(s.{own}, s._dt), s.{signal}]) AS {name}_\n}}"
            )
        return ""

    def _list(self, scope: Scope, node: str) -> str:
        return "[" + ", ".join(_column(column, node, f"{node}_{i}_") for i, column in enumerate(scope.columns)) + "]"

    def _hop(self, hop: Hop, node: str, beyond: str) -> str:
        left, right = ("-", "->") if hop.outgoing else ("<-", "-")
        label = f":{quote(hop.label)}" if hop.label else ":Twin"
        return f"({node}){left}[:{quote(hop.type)}]{right}({beyond}{label})"

    def _where(self, predicate: Predicate | None, node: str, glue: str = "WHERE") -> str:
        return f"\n{glue} {self._predicate(predicate, node)}" if predicate is not None else ""

    def _predicate(self, predicate: Predicate, node: str) -> str:
        match predicate:
            case Compare(key, operator, param):
                return OPERATORS[operator].format(key=f"{node}.{quote(key)}", value=self.param(param))
            case IsNull(key, null):
                return f"{node}.{quote(key)} IS {'' if null else 'NOT '}NULL"
            case Both(parts):
                return self._joined(" AND ", parts, node, "true")
            case Either(parts):
                return self._joined(" OR ", parts, node, "false")
            case Not(part):
                return f"NOT coalesce({self._predicate(part, node)}, false)"
            case Exists(hop, quantifier, part):
                return self._exists(hop, quantifier, part, node)

    def _joined(self, glue: str, parts: tuple[Predicate, ...], node: str, empty: str) -> str:
        return "(" + glue.join(self._predicate(part, node) for part in parts) + ")" if parts else empty

    def _exists(self, hop: Hop, quantifier: str, part: Predicate, node: str) -> str:
        beyond = f"{node}x"
        inner = self._predicate(part, beyond)
        if quantifier == "all":
            inner = f"NOT coalesce({inner}, false)"
        exists = f"EXISTS {{ MATCH {self._hop(hop, node, beyond)} WHERE {inner} }}"
        return exists if quantifier == "some" else f"NOT {exists}"

    def _after(self, scope: Scope, node: str) -> str:
        """Strictly behind the cursor in the order; Neo4j sorts null last when ascending, first when descending."""
        keys = [*scope.order, Order("dtId", False)]
        alternatives, equal = [], ""
        for order, param in zip(keys, scope.after, strict=True):
            key, value = f"{node}.{quote(order.key)}", self.param(param)
            if order.descending:
                behind = f"({key} < {value} OR ({value} IS NULL AND {key} IS NOT NULL))"
            else:
                behind = f"({key} > {value} OR ({value} IS NOT NULL AND {key} IS NULL))"
            alternatives.append(f"{equal}{behind}")
            equal += f"({key} = {value} OR ({key} IS NULL AND {value} IS NULL)) AND "
        return "(" + " OR ".join(f"({one})" for one in alternatives) + ")"

    def param(self, param: Param) -> str:
        if param not in self._named:
            self._named[param] = f"$p{len(self._statement.params)}"
            self._statement.params.append(param)
        return self._named[param]


def _column(column: Column, node: str, answer: str) -> str:
    match column:
        case Value(key):
            return f"{node}.{quote(key)}"
        case Fields(name, fields):
            return "{" + ", ".join(f"{quote(f)}: {node}.{quote(f'{name}.{f}')}" for f in fields) + "}"
        case Everything():
            return f"properties({node})"
        case History() | Related():
            return answer


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def sort_key(column: Column) -> tuple[int, str, str]:
    """Columns in a stable order, whatever the order of the fields that asked for them."""
    match column:
        case Value(key):
            return 0, key, ""
        case Fields(name):
            return 1, name, ""
        case Everything():
            return 2, "", ""
        case History(signal):
            return 3, signal, repr(column)
        case Related(hop):
            return 4, repr(hop), repr(column)
