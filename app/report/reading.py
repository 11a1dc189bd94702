"""Cypher of those who ask: explained first, and run only if each operator of its plan is of those that read what is theirs.

What decides is the plan that Neo4j has made, not the words of the statement."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from app.errors import Forbidden, TooLarge
from app.graph.records import in_json, shown
from app.graph.store import Store

MOST_ROWS, MOST_BYTES = 10_000, 16 * 1024**2
PROCEDURES = frozenset(
    {"db.labels", "db.relationshipTypes", "db.propertyKeys", "db.schema.visualization", "db.schema.nodeTypeProperties"}
    | {"db.schema.relTypeProperties"}
)
SCANS = """
NodeByLabelScan PartitionedNodeByLabelScan UnionNodeByLabelsScan IntersectionNodeByLabelsScan
SubtractionNodeByLabelsScan NodeIndexSeek NodeUniqueIndexSeek NodeIndexSeekByRange NodeUniqueIndexSeekByRange
NodeIndexScan NodeIndexContainsScan NodeIndexEndsWithScan MultiNodeIndexSeek NodeCountFromCountStore
RelationshipCountFromCountStore DirectedRelationshipTypeScan UndirectedRelationshipTypeScan
DirectedUnionRelationshipTypesScan UndirectedUnionRelationshipTypesScan DirectedRelationshipIndexSeek
UndirectedRelationshipIndexSeek DirectedRelationshipIndexSeekByRange UndirectedRelationshipIndexSeekByRange
DirectedRelationshipIndexScan UndirectedRelationshipIndexScan DirectedAllRelationshipsScan
UndirectedAllRelationshipsScan Argument EmptyRow Unwind
"""
WAYS = """
Expand(All) Expand(Into) OptionalExpand(All) OptionalExpand(Into) VarLengthExpand(All) VarLengthExpand(Into)
VarLengthExpand(Pruning) VarLengthExpand(Pruning,BFS,All) VarLengthExpand(Pruning,BFS,Into) PruningVarLengthExpand
Repeat Repeat(Trail) BidirectionalRepeat(Trail) ShortestPath StatefulShortestPath(All) StatefulShortestPath(Into)
ProjectEndpoints TriadicSelection TriadicBuild TriadicFilter
"""
ROWS = """
ProduceResults EmptyResult Projection CacheProperties RemoteBatchProperties Filter Distinct OrderedDistinct
EagerAggregation OrderedAggregation Sort PartialSort Top PartialTop Top1WithTies Limit ExhaustiveLimit Skip Union
OrderedUnion Eager Optional Apply SemiApply AntiSemiApply LetSemiApply LetAntiSemiApply SelectOrSemiApply
SelectOrAntiSemiApply LetSelectOrSemiApply LetSelectOrAntiSemiApply RollUpApply ConditionalApply AntiConditionalApply
CartesianProduct NodeHashJoin ValueHashJoin LeftOuterHashJoin RightOuterHashJoin NodeLeftOuterHashJoin
NodeRightOuterHashJoin ProcedureCall AssertSameNode AssertSameRelationship
"""
OPERATORS = frozenset(f"{SCANS} {WAYS} {ROWS}".split())
QUOTED = re.compile(r"`(?:[^`]|``)*`")
NESTED = re.compile(r"\b(?:EXISTS|COUNT|COLLECT)\s*\{")
SECRET = re.compile(r"\b_Key\b")
COMPREHENSION = re.compile(r"\[\s*\w*\s+IN\s")
CALLED = re.compile(r"([A-Za-z_][\w.]*)\(")
OVER = r"relationships\(|nodes\(|labels\(|keys\(|\$|cache\[|\w+\."
LOOP = re.compile(rf"\b(?:any|all|none|single)\(\s*\w*\s+IN\s+(?!{OVER})", re.IGNORECASE)
BARE = re.compile(r"(?<![.\w$])([A-Za-z_]\w*)\b(?!\s*[.(:\w])")
WITHIN = frozenset(
    {"distinct", "and", "or", "xor", "not", "in", "is", "null", "true", "false", "case", "when", "then", "else", "end"}
    | {"starts", "ends", "with", "contains"}
)
INDEX = re.compile(r"(?:UNIQUE|(?:RANGE|TEXT|POINT) INDEX)\s+\S*\([^)]*\)")
BUILDING = frozenset({"Projection", "EagerAggregation", "OrderedAggregation", "Distinct", "OrderedDistinct", "Unwind"})
MOST_BUILT, MOST_SUMMED = 100, 500
MOST_LETTERS, MOST_GIVEN, MOST_GROWN = 8 * 1024, 64 * 1024, 100_000
ESCAPED = re.compile(r"\\u", re.IGNORECASE)
STEPS = re.compile(r"\b(?:WITH|UNWIND|CALL|RETURN|LET|NEXT|YIELD)\b", re.IGNORECASE)
WORDS = re.compile(r"\w+")
FUNCTIONS = frozenset(
    """
abs ceil floor round sign sqrt exp log log10 sin cos tan asin acos atan atan2 degrees radians pi e rand isnan count
sum avg min max stdev stdevp percentilecont percentiledisc collect size length labels type keys properties elementid
id nodes relationships startnode endnode head last tail reverse coalesce nullif tointeger tofloat tostring toboolean
tointegerornull tofloatornull tobooleanornull tostringornull tolower toupper trim ltrim rtrim btrim left right
substring split datetime date time localdatetime localtime duration duration.between duration.indays duration.inmonths
duration.inseconds datetime.truncate date.truncate time.truncate localdatetime.truncate datetime.fromepoch
datetime.fromepochmillis datetime.realtime datetime.transaction datetime.statement timestamp point point.distance
point.withinbbox any all none single exists isempty char_length character_length getdegree valuetype haslabel and or
not in when then else where as on lower upper cot haversin tostringlist tointegerlist tofloatlist tobooleanlist randomuuid
normalize percentiles ln stdev_samp stdev_pop collect_list percentile_cont percentile_disc date.realtime date.transaction
date.statement time.realtime time.transaction time.statement localtime.realtime localtime.transaction localtime.statement
localdatetime.realtime localdatetime.transaction localdatetime.statement
""".split()  # noqa: SIM905 - a list of words
)


def answer(store: Store, cypher: str, parameters: Mapping[str, Any], timeout: float) -> bytes:
    """`{"columns": […], "rows": [[…]], "more": whether there are more}` as JSON, of at most MOST_ROWS and MOST_BYTES.

    Raises: Forbidden for what its plan may not do, BadRequest for what is no Cypher, TooLarge, StoreTimeout, StoreError."""
    require_small(cypher, parameters)
    require_readable(store.explain(cypher, parameters))
    written, size, more = list[bytes](), 0, False
    with store.rows(cypher, parameters, timeout) as (columns, rows):
        for row in rows:
            if len(written) == MOST_ROWS or size > MOST_BYTES:
                more = True
                break
            written.append(orjson.dumps([shown(value) for value in row], default=in_json))
            size += len(written[-1])
    head = orjson.dumps({"columns": columns, "more": more})[:-1]
    return b'%s,"rows":[%s]}' % (head, b",".join(written))


def require_small(cypher: str, parameters: Mapping[str, Any]) -> None:
    """Before Neo4j plans it, as it puts what a step defines into each place of the next that names it: the product of how often
    a name stands in each step bounds what that makes. Raises: TooLarge, Forbidden."""
    parameter_bytes = len(orjson.dumps(parameters, default=in_json))
    if len(cypher) > MOST_LETTERS or parameter_bytes > MOST_GIVEN:
        what = f"a statement has at most {MOST_LETTERS:,} letters, its parameters {MOST_GIVEN:,} bytes"
        raise TooLarge(what, where="statement")
    if ESCAPED.search(cypher):
        raise _refused("letters are written as they are here, not by their number", "parameters")
    grown = 1
    for step in STEPS.split(cypher):
        grown *= 1 + max(Counter(WORDS.findall(step)).values(), default=0)
    if grown > MOST_GROWN or grown * (len(cypher) + parameter_bytes) > MOST_BYTES * 4:
        raise TooLarge("its steps repeat names too often", where="statement", hint="fewer WITH, or several statements")


def require_readable(plan: Mapping[str, Any]) -> None:
    """Raises: Forbidden naming the operator."""
    built, summed = 0, 1
    for operator, details in _operators(plan):
        if operator == "ProcedureCall":
            procedure = details.partition("(")[0]
            if procedure not in PROCEDURES:
                raise _refused(
                    f"the procedure {procedure} is not for reading here", f"there are {', '.join(sorted(PROCEDURES))}"
                )
        elif operator in ("AllNodesScan", "NodeByElementIdSeek", "NodeByIdSeek"):
            raise _refused("each node that is looked for needs a label", "MATCH (t:Twin)")
        elif operator not in OPERATORS:
            raise _refused(f"{operator} is not among what reads", "reading clauses, without LOAD CSV, SHOW and what writes")
        text = QUOTED.sub("", details)
        _require_sound(operator, text)
        if operator in BUILDING:
            built += sum(map(text.count, "+[{,"))
            summed *= 1 + text.count("+")
    if built > MOST_BUILT or summed > MOST_SUMMED:
        raise _refused("it builds too much of lists, maps and sums of texts", "fewer columns, or several statements")


def _require_sound(operator: str, text: str) -> None:
    """Of an operator's expressions. What builds values of any size is not bounded by the database: its death would be all's."""
    if "=~" in text:
        raise _refused("regular expressions can hold the database up", "CONTAINS and STARTS WITH; or `matches` of GraphQL")
    if NESTED.search(text):
        raise _refused("a subquery inside an expression is not looked into", "CALL (t) { … }")
    if SECRET.search(text):
        raise _refused("keys are not shown", "twingraph keys list")
    if COMPREHENSION.search(text):
        raise _refused("a list comprehension may build a list of any length", "UNWIND … AS x … collect(…)")
    if LOOP.search(text):
        raise _refused("any, all, none and single go over what a path or a twin has", "UNWIND … AS x WITH … WHERE …")
    if any(_is_bare(argument) for argument in _arguments(text, "collect")):
        raise _refused("what is collected is named with its property", "collect(t.name), collect({name: t.name})")
    if operator == "ProcedureCall":
        return
    lazy = operator == "Unwind" and text.startswith("range(")
    for name in CALLED.findall(INDEX.sub("", text.removeprefix("range(") if lazy else text)):
        if name.lower() not in FUNCTIONS:
            raise _refused(
                f"the function {name} is not among those that read", "UNWIND range(…) AS x; aggregates; size, coalesce"
            )


def _arguments(text: str, function: str) -> Iterator[str]:
    for call in re.finditer(rf"\b{function}\(", text):
        depth, place = 1, call.end()
        while depth and place < len(text):
            depth += (text[place] == "(") - (text[place] == ")")
            place += 1
        yield text[call.end() : place - 1]


def _is_bare(argument: str) -> bool:
    """Whether it names a node, or what may be one: that counts as little to the database's limit, and is written whole."""
    return not argument.strip() or any(word.lower() not in WITHIN for word in BARE.findall(argument.replace("cache[", "[")))


def _operators(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    waiting = [plan]
    while waiting:
        operator = waiting.pop()
        yield operator["operatorType"].partition("@")[0], str(operator["args"].get("Details", ""))
        waiting += operator.get("children", ())


def _refused(what: str, hint: str) -> Forbidden:
    return Forbidden(what, where="statement", hint=hint)
