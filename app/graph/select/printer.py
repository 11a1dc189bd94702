"""Select tree → one statement that answers one record, and its parameters in order.

Canonical: names follow depth and position, columns come sorted, every value is a parameter; so equal questions share one
text and Neo4j plans it once. Nested twins are nested `CALL` subqueries that collect lists of columns.

Every way to another twin is printed by `_hop`, `_one`, `_many` or `_path`: the access of the request is there, nowhere else."""

from dataclasses import dataclass, field

from app.graph.quoting import quote
from app.graph.rollup import COARSEST, LEVELS
from app.graph.segment import own_times
from app.graph.select.operators import OPERATORS
from app.graph.select.past import SYSTEM, hop_as_of, property_as_of, quality_as_of, signal_as_of
from app.graph.select.tree import (
    ACCESS,
    Access,
    Aggregate,
    AllProperties,
    And,
    Column,
    Compare,
    Count,
    Exists,
    Fields,
    Groups,
    History,
    Hop,
    IsNull,
    Many,
    Measure,
    Not,
    One,
    Or,
    Order,
    Param,
    Path,
    Predicate,
    Related,
    RelatedAggregate,
    Root,
    Scope,
    Value,
    VariableRef,
    base,
    param,
)

MEASURES = {
    "count": "count({key})",
    "distinct": "count(DISTINCT {key})",
    "min": "min({key})",
    "max": "max({key})",
    "avg": "avg({key})",
    "sum": "sum({key})",
    "stdDev": "stDev({key})",
    "percentile": "percentileCont({key}, {at})",
}
HIDDEN = "_hidden"  # in a map of everything: the names that are not to be shown
FARTHEST = 16  # relationships between a twin and the one that gives access to it


@dataclass(slots=True)
class Statement:
    """`params[i]` is bound to `$p{i}`."""

    text: str = ""
    params: list[Param] = field(default_factory=list)


def print_root(root: Root) -> Statement:
    statement = Statement()
    printer = _Printer(statement, root.access, root.as_of)
    statement.text = printer.root(root)
    return statement


def seen(node: str, access: Access | None, granted: str) -> str:
    """The condition that the twin `node` is there; `granted`: the dtIds of roots. True where access is to all."""
    conditions = [] if access is None else _seen(node, access, granted)
    return " AND ".join(conditions) or "true"


def _seen(node: str, access: Access, granted: str) -> list[str]:
    of_models = [] if access.models is None else [_labelled(node, access.models)]
    if access.via is None:
        return of_models
    if not access.via:
        return [*of_models, f"{node}.dtId IN {granted}"]
    above = f"({node})<-[:{_types(access.via)}*0..{FARTHEST}]-({node}a:Twin)"
    return [*of_models, f"EXISTS {{ MATCH {above} WHERE {node}a.dtId IN {granted} }}"]


def _labelled(node: str, labels: tuple[str, ...]) -> str:
    return "(" + " OR ".join(f"{node}:{quote(label)}" for label in labels) + ")" if labels else "false"


class _Printer:
    def __init__(self, statement: Statement, access: Access | None, as_of: Param | None) -> None:
        self._statement = statement
        self._access, self._as_of = access or Access(), as_of
        self._hidden = dict(self._access.hidden)
        self._named: dict[Param, str] = {}

    def root(self, root: Root) -> str:
        match root.asked:
            case One(dt_id, scope):
                return f"{self._call_rows(scope, *self._one(root, dt_id))}\nRETURN rows"
            case Many(scope, aggregate):
                parts, answers = [], []
                if scope is not None:
                    parts.append(self._call_rows(scope, *self._many(root, scope)))
                    answers.append("rows")
                if aggregate is not None:
                    text, conditions = self._many(root, scope)
                    text += self._filter([*conditions, *self._where(aggregate.where, "n")])
                    parts.append(f"CALL () {{\n{_indent(text)}\n  RETURN {self._measures(aggregate, 'n')} AS totals\n}}")
                    answers.append("totals")
                return "\n".join([*parts, f"RETURN {', '.join(answers)}"])
            case Groups():
                return f"CALL () {{\n{_indent(self._groups(root, root.asked))}\n}}\nRETURN rows"
            case Path():
                return self._path(root.asked)

    def _call_rows(self, scope: Scope, match: str, conditions: list[str]) -> str:
        rows = self._rows(match, conditions, scope, "n")
        return f"CALL () {{\n{_indent(rows)}\n  RETURN collect({self._row(scope, 'n')}) AS rows\n}}"

    # Ways to twins ---------------------------------------------------------------------------------------------------

    def _one(self, root: Root, dt_id: Param) -> tuple[str, list[str]]:
        labelled = [f"n:{quote(root.label)}"] if root.label != "Twin" else []
        return f"MATCH (n:Twin {{dtId: {self.param(dt_id)}}})", [*labelled, *self._seen("n"), *self._existed("n")]

    def _many(self, root: Root, scope: Scope | None = None) -> tuple[str, list[str]]:
        label = quote(root.label)
        if not self._access.via:
            labels = ":".join([label, *map(quote, root.also)])
            in_order = scope is not None and scope.limit is not None and not scope.order
            indexable = ["n.dtId IS NOT NULL"] if in_order else []  # what an index needs to be read in its order
            twins = ["n:Twin"] if root.parted else []  # components bear the labels of their model, too
            return f"MATCH (n:{labels})", [*twins, *indexable, *self._seen("n"), *self._existed("n")]
        # From the few twins that give access downwards: what it costs depends on them, not on the whole graph.
        start = f"MATCH (a:Twin) WHERE a.dtId IN {self._granted()}"
        below = f"MATCH (a)-[:{_types(self._access.via)}*0..{FARTHEST}]->(n:{label})"
        twins = ["n:Twin"] if root.parted else []
        return f"{start}\n{below}\nWITH DISTINCT n", [*twins, *self._of_models("n"), *self._existed("n")]

    def _seen(self, node: str) -> list[str]:
        """The conditions that `node` is there; none when all is."""
        return _seen(node, self._access, self._granted() if self._access.via is not None else "")

    def _of_models(self, node: str) -> list[str]:
        return [] if self._access.models is None else [_labelled(node, self._access.models)]

    def _granted(self) -> str:
        return self.param(param(VariableRef((ACCESS,))))

    def _existed(self, node: str) -> list[str]:
        return [f"coalesce({node}._since <= {self.param(self._as_of)}, true)"] if self._as_of else []

    def _hop(self, hop: Hop, node: str, beyond: str, edge: str = "") -> tuple[str, list[str]]:
        """What matches the twins beyond, and the conditions on them."""
        label = f":{quote(hop.label)}" if hop.label else ":Twin"
        left, right = ("-", "->") if hop.outgoing else ("<-", "-")
        shut = self._shut(hop.types, "q", "startNode(q)") if hop.depth else []
        if hop.depth and (steps := [*self._beyond(hop, "y"), *shut]):
            step = f"((x:Twin){left}[{'q' if shut else ''}:{_types(hop.types)}]{right}(y:Twin) WHERE {' AND '.join(steps)})"
            return f"MATCH ({node}) {step}{{1,{hop.depth}}} ({beyond}{label})\nWITH DISTINCT {node}, {beyond}", []
        far = f"*1..{hop.depth}" if hop.depth else ""
        then = self._as_of is not None and not hop.part
        if not edge and (then or (len(hop.types) > 1 and not hop.depth and self._shut(hop.types, "q", node))):
            edge = f"{beyond}r"
        match = f"MATCH ({node}){left}[{edge}:{_types(hop.types)}{far}]{right}({beyond}{label})"
        if then:
            moment, name = self._moment(), self.param(param(hop.types[0]))
            match = hop_as_of(match, node, beyond, edge, label, hop.outgoing, moment, name)
        match += f"\nWITH DISTINCT {node}, {beyond}" if hop.depth else ""
        shut = [] if hop.depth else self._shut(hop.types, edge, node if hop.outgoing else beyond)
        return match, [*self._beyond(hop, beyond), *shut]

    def _beyond(self, hop: Hop, beyond: str) -> list[str]:
        if hop.part:
            return []
        return self._of_models(beyond) if self._is_below(hop) else self._seen(beyond)

    def _shut(self, types: tuple[str, ...], edge: str, start: str) -> list[str]:
        """The conditions that a relationship of one of these types, which begins at `start`, is there."""
        conditions = []
        for name in types:
            if name in self._hidden:
                labels = self._hidden[name]
                of_it = [f"type({edge}) = {self.param(param(name))}"] if len(types) > 1 else []
                on = [_labelled(start, labels)] if labels else []
                conditions.append(f"NOT ({' AND '.join([*of_it, *on])})" if of_it or on else "false")
        return conditions

    def _is_below(self, hop: Hop) -> bool:
        """From a twin that is seen, over what access follows, only twins that are seen are reached: now, not in the past."""
        if self._access.via is None or self._as_of is not None:
            return False
        return hop.outgoing and set(hop.types) <= set(self._access.via)

    # Rows ------------------------------------------------------------------------------------------------------------

    def _rows(self, match: str, conditions: list[str], scope: Scope, node: str, edge: str = "") -> str:
        conditions = [*conditions, *self._where(scope.where, node)]
        keys = [self._order_key(order, node) for order in scope.order]
        names = [node, *([edge] if edge else [])]
        if any(order.hop for order in scope.order):
            named = [f"{node}_k{index}" for index in range(len(keys))]
            match += self._filter(conditions) + f"\nWITH {', '.join(names)}, "
            match += ", ".join(f"{key} AS {name}" for key, name in zip(keys, named, strict=True))
            keys, names, conditions = named, [*names, *named], []
        keys.append(f"{node}.dtId")
        text = match + self._filter([*conditions, *([self._after(scope, keys)] if scope.after else [])])
        if scope.order or scope.limit or scope.offset:
            flags = [order.descending is not scope.backward for order in (*scope.order, Order(Value("dtId"), False))]
            orders = [f"{key}{' DESC' if down else ''}" for key, down in zip(keys, flags, strict=True)]
            text += f"\nWITH {', '.join(names)} ORDER BY {', '.join(orders)}"
            text += f" SKIP {self.param(scope.offset)}" if scope.offset else ""
            text += f" LIMIT {self.param(scope.limit)}" if scope.limit else ""
        return text + self._subqueries(scope.columns, node)

    def _subqueries(self, columns: tuple[Column, ...], node: str) -> str:
        return "".join(self._subquery(column, node, f"{node}_{index}") for index, column in enumerate(columns))

    def _subquery(self, column: Column, node: str, name: str) -> str:
        match column:
            case Related(hop, scope, edge_columns):
                edge = f"{name}r" if edge_columns else ""
                match, conditions = self._hop(hop, node, name, edge)
                inner = self._rows(match, conditions, scope, name, edge)
                answer = f"RETURN collect({self._row(scope, name, edge, edge_columns)}) AS {name}_"
            case RelatedAggregate(hop, aggregate) if not self._is_degree(column):
                match, conditions = self._hop(hop, node, name)
                inner = match + self._filter([*conditions, *self._where(aggregate.where, name)])
                answer = f"RETURN {self._measures(aggregate, name)} AS {name}_"
            case History(signal, start, end, level):
                first, last, key = self.param(start), self.param(end), f"s.{quote(signal)}"
                rolled = f"s.{quote(COARSEST + signal)}"
                has_points = f"{key} IS NOT NULL" if level is None else f"({rolled} IS NOT NULL OR {key} IS NOT NULL)"
                has_points = " AND ".join([*self._bare(signal, node), has_points])
                segments = (
                    f"MATCH ({node})-[:_HISTORY]->(s:_Segment)"
                    f"\nWHERE s._to >= {first} AND s._from <= {last} AND {has_points}"
                    f"\nRETURN collect({self._segment(signal, first, last, level)}) AS {name}s"
                )
                inner = (
                    f"WITH {node}._joined AS {name}j\nCALL ({node}) {{\n{_indent(segments)}\n}}"
                    f"\nMATCH ({name}t) WHERE elementId({name}t) = elementId({node})"
                )
                answer = f"RETURN [{name}j, {name}s, {name}t._joined] AS {name}_"
            case _:
                return ""
        return f"\nCALL ({node}) {{\n{_indent(inner)}\n  {answer}\n}}"

    def _segment(self, signal: str, first: str, last: str, level: Param | None) -> str:
        points = f"[s._from, coalesce(s.{quote(own_times(signal))}, s._dt), s.{quote(signal)}]"
        if level is None:
            return points
        widest = self.param(level)
        cases = [
            f"WHEN {widest} >= {width} AND s.{quote(prefix + signal)} IS NOT NULL THEN [s.{quote(prefix + signal)}]"
            for prefix, width in LEVELS.items()
        ]
        rolled = " ".join(cases)
        forgotten = " ".join(case.replace(" THEN [", " THEN [true, ") for case in cases)
        name = self.param(param(signal))
        return (  # `_only` names signals whose points are no longer kept: to look whether they are there would read them
            f"CASE WHEN {name} IN s._only THEN CASE {forgotten} ELSE [false] END"
            f" WHEN {widest} = 0 OR s._from < {first} OR s._to >= {last} THEN {points} {rolled} ELSE {points} END"
        )

    def _row(self, scope: Scope, node: str, edge: str = "", edge_columns: tuple[Value | Fields, ...] = ()) -> str:
        """Columns, then the keys of orders by related twins, then the relationship's properties."""
        named = [f"{node}_k{index}" for index, order in enumerate(scope.order) if order.hop]
        parts = [*self._columns(scope.columns, node), *named, *(_asked_of(column, edge) for column in edge_columns)]
        return f"[{', '.join(parts)}]"

    def _columns(self, columns: tuple[Column, ...], node: str) -> list[str]:
        return [self._column(column, node, f"{node}_{index}_") for index, column in enumerate(columns)]

    def _column(self, column: Column, node: str, answer: str) -> str:
        match column:
            case Value():
                return self._key(column, node)
            case Fields(name, fields, signal):
                return "{" + ", ".join(f"{quote(f)}: {self._key(Value(f'{name}.{f}', signal), node)}" for f in fields) + "}"
            case AllProperties() if self._as_of is not None:
                versions = f"MATCH ({node})-[:_PAST]->(v:_Version) WHERE v._until > {self._moment()}"
                return f"[{self._everything(node)}, COLLECT {{ {versions} RETURN properties(v) ORDER BY v._until DESC }}]"
            case AllProperties():
                return self._everything(node)
            case RelatedAggregate(hop) if self._is_degree(column):
                left, right = ("-", "->") if hop.outgoing else ("<-", "-")
                return f"[COUNT {{ ({node}){left}[:{_types(hop.types)}]{right}() }}]"
            case _:
                return answer

    def _is_degree(self, column: RelatedAggregate) -> bool:
        """All that is asked is how many there are: the node's own degree answers it without a look at the other side."""
        hop, aggregate = column.hop, column.aggregate
        plain = aggregate.where is None and not hop.depth and aggregate.measures == (Measure("count"),)
        open_ = not self._beyond(hop, "") and not self._shut(hop.types, "", "")
        return plain and open_ and self._as_of is None

    def _everything(self, node: str) -> str:
        """What is hidden is named, and left out where the map is read."""
        if not self._hidden:
            return f"properties({node})"
        by_labels: dict[tuple[str, ...], list[str]] = {}
        for name, labels in self._hidden.items():
            by_labels.setdefault(labels, []).append(name)
        lists = [
            f"CASE WHEN {_labelled(node, labels) if labels else 'true'} THEN {self.param(param(names))} ELSE [] END"
            for labels, names in by_labels.items()
        ]
        return f"{node} {{.*, {HIDDEN}: {' + '.join(lists)}}}"

    def _bare(self, name: str, node: str) -> list[str]:
        """The condition that `node` shows what it has of a name."""
        labels = self._hidden.get(name)
        if labels is None:
            return []
        return [f"NOT {_labelled(node, labels)}"] if labels else ["false"]

    def _key(self, value: Value, node: str) -> str:
        labels = self._hidden.get(base(value.key))
        if labels is None:
            return self._open_key(value, node)
        return f"(CASE WHEN {_labelled(node, labels)} THEN null ELSE {self._open_key(value, node)} END)" if labels else "null"

    def _open_key(self, value: Value, node: str) -> str:
        if self._as_of is None or value.key in SYSTEM:
            return f"{node}.{quote(value.key)}"
        if value.signal:
            return signal_as_of(value, node, self._moment(), self.param(param(base(value.key))))
        if value.key.startswith("_at_"):
            signal = value.key.removeprefix("_at_")
            return signal_as_of(Value(signal), node, self._moment(), self.param(param(signal)), "at")
        if value.key.startswith("_quality_"):
            return quality_as_of(node, self._moment(), self.param(param(value.key.removeprefix("_quality_"))))
        return property_as_of(value, node, self._moment(), self.param(param(value.key)))

    def _moment(self) -> str:
        assert self._as_of is not None
        return self.param(self._as_of)

    def _measures(self, aggregate: Aggregate, node: str) -> str:
        return "[" + ", ".join(self._measure(measure, node) for measure in aggregate.measures) + "]"

    def _measure(self, measure: Measure, node: str) -> str:
        key = node if measure.key is None else self._key(measure.key, node)
        return MEASURES[measure.name].format(key=key, at=self.param(measure.at) if measure.at else "")

    def _groups(self, root: Root, groups: Groups) -> str:
        text, conditions = self._many(root)
        text += self._filter([*conditions, *self._where(groups.aggregate.where, "n")])
        names = [f"k{index}" for index in range(len(groups.keys))]
        if groups.hop is not None:
            match, beyond = self._hop(groups.hop, "n", "g")
            text += f"\nOPTIONAL {match}{self._filter(beyond)}"
        with_items = [f"{self._key(key, 'n')} AS {name}" for key, name in zip(groups.keys, names, strict=True)]
        with_items = ["g", *with_items] if groups.hop is not None else with_items
        with_items.append(f"{self._measures(groups.aggregate, 'n')} AS totals")
        text += f"\nWITH {', '.join(with_items)}"
        by = [*names, *(["g.dtId"] if groups.hop else [])]
        text += f"\nORDER BY {', '.join(by)}"
        text += f" LIMIT {self.param(groups.limit)}" if groups.limit else ""
        text += self._subqueries(groups.columns, "g") if groups.hop is not None else ""
        columns = ", ".join(self._columns(groups.columns, "g"))
        twin = f"CASE WHEN g IS NULL THEN null ELSE [{columns}] END" if groups.hop else "null"
        return f"{text}\nRETURN collect([totals, [{', '.join(names)}], {twin}]) AS rows"

    def _path(self, path: Path) -> str:
        start, end = self.param(path.start), self.param(path.end)
        arrow = "->" if path.directed else "-"
        shut = self._shut(path.types, "q", "startNode(q)")
        steps = [*self._seen("y"), *shut]
        step = (
            f"((x:Twin)-[{'q' if shut else ''}:{_types(path.types)}]{arrow}(y:Twin){self._filter(steps).replace(chr(10), ' ')})"
        )
        ends = self._filter(self._seen("a"))
        rows = f"UNWIND nodes(p) AS n{self._subqueries(path.columns, 'n')}"
        rows += f"\nRETURN collect([{', '.join(self._columns(path.columns, 'n'))}]) AS twins"
        return (
            f"CALL () {{\n  MATCH (a:Twin {{dtId: {start}}}), (b:Twin {{dtId: {end}}}){_indent(ends)}"
            f"\n  MATCH p = SHORTEST 1 (a) {step}{{0,{path.most}}} (b)"
            f"\n  CALL (p) {{\n{_indent(_indent(rows))}\n  }}"
            f"\n  RETURN collect([twins, [r IN relationships(p) |"
            f" [type(r), startNode(r).dtId, endNode(r).dtId, r._id]]]) AS rows\n}}\nRETURN rows"
        )

    # Conditions ------------------------------------------------------------------------------------------------------

    def _filter(self, conditions: list[str]) -> str:
        return f"\nWHERE {' AND '.join(conditions)}" if conditions else ""

    def _where(self, predicate: Predicate | None, node: str) -> list[str]:
        return [] if predicate is None else [self._predicate(predicate, node)]

    def _predicate(self, predicate: Predicate, node: str) -> str:
        match predicate:
            case Compare(key, operator, parameter):
                return OPERATORS[operator].cypher.format(key=self._key(key, node), value=self.param(parameter))
            case IsNull(key, null):
                return f"{self._key(key, node)} IS {'' if null else 'NOT '}NULL"
            case And(parts):
                return self._joined(" AND ", parts, node, "true")
            case Or(parts):
                return self._joined(" OR ", parts, node, "false")
            case Not(part):
                return f"NOT coalesce({self._predicate(part, node)}, false)"
            case Exists(hop, "single", part):
                return f"COUNT {{ {self._fitting(hop, self._where(part, f'{node}x'), node)} }} = 1"
            case Exists(hop, quantifier, part):
                fits = self._where(part, f"{node}x")
                if quantifier == "all":
                    fits = [f"NOT coalesce({fit}, false)" for fit in fits or ["true"]]
                exists = f"EXISTS {{ {self._fitting(hop, fits, node)} }}"
                return exists if quantifier == "some" else f"NOT {exists}"
            case Count(hop, part, operator, parameter):
                counted = f"COUNT {{ {self._fitting(hop, self._where(part, f'{node}x'), node)} }}"
                return OPERATORS[operator].cypher.format(key=counted, value=self.param(parameter))

    def _fitting(self, hop: Hop, fits: list[str], node: str) -> str:
        match, conditions = self._hop(hop, node, f"{node}x")
        return (match + self._filter([*conditions, *fits])).replace("\n", " ")

    def _joined(self, glue: str, parts: tuple[Predicate, ...], node: str, empty: str) -> str:
        return "(" + glue.join(self._predicate(part, node) for part in parts) + ")" if parts else empty

    # Order -----------------------------------------------------------------------------------------------------------

    def _order_key(self, order: Order, node: str) -> str:
        if order.hop is None:
            return self._key(order.key, node)
        beyond = f"{node}x"
        match, conditions = self._hop(order.hop, node, beyond)
        key = self._key(order.key, beyond)
        inner = (match + self._filter([*conditions, f"{key} IS NOT NULL"])).replace("\n", " ")
        return f"head(COLLECT {{ {inner} RETURN {key} ORDER BY {key}{' DESC' if order.descending else ''} LIMIT 1 }})"

    def _after(self, scope: Scope, keys: list[str]) -> str:
        """Strictly behind the cursor in the order; Neo4j sorts null last when ascending, first when descending."""
        orders = [*scope.order, Order(Value("dtId"), False)]
        alternatives, equal = [], ""
        for order, key, parameter in zip(orders, keys, scope.after, strict=True):
            value = self.param(parameter)
            if order.hop is None and order.key.key == "dtId":  # never null
                behind = f"{key} {'<' if order.descending is not scope.backward else '>'} {value}"
            elif order.descending is not scope.backward:
                behind = f"({key} < {value} OR ({value} IS NULL AND {key} IS NOT NULL))"
            else:
                behind = f"({key} > {value} OR ({value} IS NOT NULL AND {key} IS NULL))"
            alternatives.append(f"{equal}{behind}")
            equal += f"({key} = {value} OR ({key} IS NULL AND {value} IS NULL)) AND "
        return "(" + " OR ".join(f"({alternative})" for alternative in alternatives) + ")"

    def param(self, parameter: Param) -> str:
        if parameter not in self._named:
            self._named[parameter] = f"$p{len(self._statement.params)}"
            self._statement.params.append(parameter)
        return self._named[parameter]


def _asked_of(column: Value | Fields, edge: str) -> str:
    """Properties of a relationship, or of what is left of it."""
    if isinstance(column, Value):
        return f"{edge}.{quote(column.key)}"
    return "{" + ", ".join(f"{quote(f)}: {edge}.{quote(f'{column.name}.{f}')}" for f in column.fields) + "}"


def _types(types: tuple[str, ...]) -> str:
    return "|".join(quote(name) for name in types)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def sort_key(column: Column) -> tuple[int, str, str]:
    """Columns in a stable order, whatever the order of the fields that asked for them."""
    match column:
        case Value(key, signal):
            return 0, key, str(signal)
        case Fields(name):
            return 1, name, ""
        case AllProperties():
            return 2, "", ""
        case History(signal):
            return 3, signal, repr(column)
        case Related(hop) | RelatedAggregate(hop):
            return 4, repr(hop), repr(column)
