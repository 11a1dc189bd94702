"""What the graph said at a moment, as Cypher: properties from versions, telemetry from segments, relationships from links.

Whoever changes a property leaves `(twin)-[:_PAST]->(:_Version {_keys, _until, …})` with what it was; whoever ends a
relationship leaves `(a)-[:_PAST]->(:_Link {_name, _since, _until, …})-[:_PAST_TO]->(b)`. What is current is read as ever."""

from app.graph.quoting import quote
from app.graph.segment import own_times
from app.graph.select.tree import Value

SYSTEM = ("dtId", "_model", "_stale")
CONVERTED = {"dateTime": "datetime({})", "date": "date({})", "time": "time({})", "duration": "duration({})"}
LOOKED_AT = 16  # segments that overlap the moment; late ones may lie under longer ones


def property_as_of(value: Value, node: str, moment: str, name: str) -> str:
    """`moment` and `name` are parameters: a datetime, and the property's key."""
    key = quote(value.key)
    versions = (
        f"MATCH ({node})-[:_PAST]->(v:_Version) WHERE v._until > {moment} AND {name} IN v._keys"
        f" RETURN [v.{key}] ORDER BY v._until LIMIT 1"
    )
    return f"coalesce(head(COLLECT {{ {versions} }}), [{node}.{key}])[0]"


def signal_as_of(value: Value, node: str, moment: str, name: str, answer: str = "value") -> str:
    """The last point measured before the moment; `answer` is `value` or `at`, `name` the parameter with the signal's name.

    Where points are no longer kept the last one is not known: nothing, and not an older one."""
    key, own, ms = quote(value.key), quote(own_times(value.key)), f"{moment}.epochMillis"
    before = f"CASE WHEN s._to > {ms} THEN {ms} ELSE s._to END"
    points = (
        f"MATCH ({node})-[:_HISTORY]->(s:_Segment) WHERE s._from <= {ms} AND (s.{key} IS NOT NULL OR {name} IN s._only)"
        f" WITH s ORDER BY {before} DESC LIMIT {LOOKED_AT}"
        f" WITH s, CASE WHEN s.{key} IS NULL THEN [] ELSE coalesce(s.{own}, s._dt) END AS dt"
        f" UNWIND CASE WHEN s.{key} IS NULL THEN [[{before}, null]] ELSE"
        f" [i IN range(0, size(dt) - 1) WHERE s._from + dt[i] <= {ms} | [s._from + dt[i], s.{key}[i]]] END AS point"
        f" WITH point[0] AS at, point[1] AS value ORDER BY at DESC LIMIT 1"
        f" RETURN {'value' if answer == 'value' else 'CASE WHEN value IS NOT NULL THEN at END'}"
    )
    last_point = f"head(COLLECT {{ {points} }})"
    return CONVERTED.get(value.signal, "{}").format(last_point) if answer == "value" else last_point


def quality_as_of(node: str, moment: str, name: str) -> str:
    """The last change of a signal's quality before the moment; `name` is the parameter with the signal's name."""
    changes = (
        f"MATCH ({node})-[:_EVENT]->(e:_Event {{kind: 'quality', code: {name}}})"
        f" WHERE e.at <= {moment} RETURN e.quality ORDER BY e.at DESC LIMIT 1"
    )
    return f"head(COLLECT {{ {changes} }})"


def hop_as_of(match: str, node: str, beyond: str, edge: str, label: str, outgoing: bool, moment: str, name: str) -> str:
    """`match` finds the relationships of now, bound to `edge`; those that have ended since come beside them."""
    left, right = ("-", "->") if outgoing else ("<-", "-")
    first, last = ("_PAST", "_PAST_TO") if outgoing else ("_PAST_TO", "_PAST")
    ended = f"MATCH ({node}){left}[:{first}]{right}({edge}:_Link){left}[:{last}]{right}({beyond}{label})"
    return (
        f"CALL ({node}) {{\n  {match}\n  WHERE coalesce({edge}._since <= {moment}, true)\n  RETURN {beyond}, {edge}"
        f"\n  UNION ALL\n  {ended}\n  WHERE {edge}._name = {name} AND {edge}._until > {moment}"
        f" AND coalesce({edge}._since <= {moment}, true)\n  RETURN {beyond}, {edge}\n}}\nWITH *"
    )
