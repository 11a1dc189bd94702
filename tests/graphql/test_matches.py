"""`matches` against RE2 itself, on the real database; and that no pattern, nor anything else, holds the database."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import re2

from app.errors import QueryError
from app.graph.select.automaton import automaton
from app.graph.select.operators import CHUNK, OPERATORS
from app.graph.store import Store
from app.settings import Settings
from app.stack.child import Child
from app.twins.edit import NewRelationship, NewTwin, ensure
from app.twins.registry import Registry
from tests.conftest import apart, free_port, program
from tests.graphql.conftest import Ask, is_ready

LETTERS = "abBcAäÄsSßẞſKké1_ .-{}],x\n\t\v\x00😀\uffee\ue000\ud7ff\uffffΣσς"
ATOMS = [*"abBcäÄsßé1_ .{}-", "\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "[ab]", "[^ab]", "[a-c]", "[\\w-]", "[^\\W]", "[\\W]"]
ATOMS += ["[[:alpha:]]", "[[:^digit:]]", "\\.", "[]a]", "[^]a]", "\\x41", "\\x{e4}", "\\Qa.b\\E", "[à-ÿ]", "x{,2}", "\\x00"]
ATOMS += ["[\\x{100}-\\x{ffff}]", "[^\\x{80}-\\x{3000}]", "[\\x{d000}-\\x{f000}]"]
REPEATED = ["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "{0}", "{0,2}"]


def patterns(chance: random.Random) -> Iterator[str]:
    def part(depth: int) -> str:
        kind = chance.random()
        if depth == 0 or kind < 0.4:
            return chance.choice(ATOMS)
        if kind < 0.6:
            return part(depth - 1) + part(depth - 1)
        if kind < 0.75:
            return f"({chance.choice(['', '?:', '?P<n>', '?<n>'])}{part(depth - 1)}|{part(depth - 1)})"
        return f"(?:{part(depth - 1)}){chance.choice(REPEATED)}"

    while True:
        start, end = chance.choice(["", "(?i)", "(?s)", "(?is)", "^"]), chance.choice(["", "$", "\\z"])
        yield f"{start}{part(chance.randint(1, 4))}{end}"


def reference(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None


def test_it_matches_what_re2_matches(store: Store) -> None:
    chance, tried = random.Random(13), 0
    step = OPERATORS["matches"].cypher.format(key="text", value="row.table")
    query = f"UNWIND $rows AS row RETURN [text IN row.texts | {step}]"
    rows, expected = [], []
    for pattern in patterns(chance):
        known = reference(pattern)
        if known is None:
            continue  # such as a name that is given twice
        texts = ["".join(chance.choice(LETTERS) for _ in range(chance.randint(0, 6))) for _ in range(20)]
        rows.append({"table": automaton(pattern), "texts": texts})
        expected.append((pattern, texts, [known.fullmatch(text) is not None for text in texts]))
        tried += 1
        if tried == 2000:
            break
    for start in range(0, len(rows), 100):
        for (found,), (pattern, texts, wanted) in zip(
            store.read(query, {"rows": rows[start : start + 100]}), expected[start : start + 100], strict=True
        ):
            assert list(zip(texts, found, strict=True)) == list(zip(texts, wanted, strict=True)), pattern


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_long_texts_are_matched_to_their_end(length: int, store: Store) -> None:
    step = OPERATORS["matches"].cypher.format(key="$text", value="$table")
    for end, found in (("b", True), ("c", False)):
        table = automaton("(?s)[äa😀]*b".replace("😀", "") if length < CHUNK else "(?:.)*b")
        assert store.read(f"RETURN {step}", {"text": "ä" * length + end, "table": table})[0][0] is found


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[", "a bracket that nothing closes, at character 1"),
        ("ab)c", "a parenthesis that nothing opens, at character 3"),
        ("(ab", "a parenthesis that nothing closes, at character 4"),
        ("a**", "a repetition of a repetition, at character 3"),
        ("*a", "a repetition of nothing, at character 1"),
        ("(?=a)b", "lookaround, flags inside a pattern and the like, at character 1"),
        ("(?<!a)b", "lookaround"),
        ("(?>a)b", "lookaround"),
        ("(a)\\1", "\\1 is not supported, at character 4"),
        ("\\bfan\\b", "\\b is not supported, at character 1"),
        ("\\p{L}+", "\\p is not supported"),
        ("a{3,1}", "a repetition whose most is less than its least"),
        ("[z-a]", "a range that does not go upwards"),
        ("a^b", "a pattern always fits the whole text"),
        ("a\\", "\\ is not supported"),
        ("😀+", "a character beyond U+FFFF"),
        ("a" * 1001, "a pattern has at most 1000 characters"),
        ("(" * 31 + "a" + ")" * 31, "more than 30 groups"),
        ("(?:a{1000}){1000}", "too complex"),
        (".*a.{20}", "too complex"),
    ],
)
async def test_what_is_refused_is_told_with_its_place(pattern: str, said: str, ask: Ask) -> None:
    query = "query($p: String!) { turbines(where: { name: { matches: $p } }) { dtId } }"
    (error,) = (await ask(query, p=pattern))["errors"]
    assert error["message"].startswith("matches: ")
    assert said in error["message"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


DEAR = ["(?:" * 30 + "a" + "){1,9}" * 30, "(a|b)*a" + "(a|b)" * 190, "[^a][^b]" * 120, "(?i)" + "z" * 996, "[À-ÿ]" * 190]


@pytest.mark.parametrize("pattern", DEAR)
def test_no_pattern_is_dear(pattern: str) -> None:
    """The table is made, or refused, in some milliseconds."""
    started = time.process_time()
    with suppress(QueryError):
        automaton.__wrapped__(pattern)
    print(f"{time.process_time() - started:.3f} s")
    assert time.process_time() - started < 5


# What holds the database ----------------------------------------------------------------------------------------------

EVIL = ["(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*)*b", "(.*a){20}b", "(?i)(a?){50}a{50}", "([a-zA-Z]+)*b", "(a*)*(a*)*(a*)*b"]


@pytest.fixture(scope="module")
def full(plant: Registry) -> Registry:
    """A hundred twins with long texts; a chain and a mesh of relationships to get lost in."""
    farms = [NewTwin(f"f{i}", "WindFarm", {"name": "a" * 8000}) for i in range(100)]
    turbines = [NewTwin(f"m{i}", "Turbine", {"maintenanceNote": "a" * 100_000}) for i in range(40)]
    links = [NewRelationship(f"f{i}", "contains", f"m{j}") for i in range(100) for j in range(40)]
    ensure(plant.store, plant.catalog, [*farms, *turbines], links)
    return plant


@pytest.fixture(scope="module")
def brief(full: Registry, settings: Settings, broker: Child) -> Iterator[Settings]:
    """A server whose reads may last a second, and whose estimates let everything through."""
    server = apart(settings, server_port=free_port(), query_timeout=1.0, query_cost=10**18)
    with program(server, "serve-brief", "serve", healthy=lambda: is_ready(server)):
        yield server


@asynccontextmanager
async def watched(store: Store) -> AsyncIterator[list[float]]:
    """The longest time [s] that any transaction but this look was seen to run for."""
    query = (
        "SHOW TRANSACTIONS YIELD elapsedTime, currentQuery WHERE NOT currentQuery STARTS WITH 'SHOW' RETURN max(elapsedTime)"
    )
    longest = [0.0]

    async def look() -> None:
        while True:
            ((found,),) = await asyncio.to_thread(store.command, query)
            longest[0] = max(longest[0], found.seconds if found is not None else 0.0)
            await asyncio.sleep(0.2)

    looking = asyncio.create_task(look())
    yield longest
    await asyncio.sleep(0.5)
    looking.cancel()


@pytest.mark.parametrize("pattern", EVIL)
async def test_F30_no_pattern_holds_the_database(pattern: str, full: Registry, ask: Ask) -> None:
    query = "query($p: String!) { windFarms(where: { name: { matches: $p } }) { dtId } }"
    async with watched(full.store) as longest:
        assert (await ask(query, p=pattern))["data"] == {"windFarms": []}
    assert longest[0] < 20


COUNTED = 'turbinesAggregate(where: {{ maintenanceNote: {{ matches: "(a|b)*c{0}" }} }}) {{ count }}'
WIDE = " ".join(f"n{i}: {COUNTED.format(i)}" for i in range(20))
LONG = {
    "many patterns over long texts": f"{{ {WIDE} }}",
    "every way through a mesh": "{ windFarms(first: 100) { descendants(depth: 12, first: 1000) { dtId } } }",
    "far and back": '{ shortestPath(from: "f1", to: "sub", via: [contains, feeds]) { length } }',
    "conditions in conditions": "{ turbines(where: { containsOf: { all: { contains: { all: { containsOf: { all: { contains:"
    ' { none: { containsOf: { some: { contains: { some: { maintenanceNote: { contains: "b" } } } } } } } } } } } } } })'
    " { dtId } }",
}


@pytest.mark.parametrize("query", LONG.values(), ids=LONG)
async def test_F30_nothing_outlives_its_limit(query: str, brief: Settings, full: Registry, secured: Settings) -> None:
    """Whatever is asked, and whether it is answered or refused: no transaction is seen five seconds beyond the limit."""
    url, headers = f"http://127.0.0.1:{brief.server_port}/graphql", {"Authorization": f"Bearer {secured.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as http, watched(full.store) as longest:
        answers = await asyncio.gather(*(http.post(url, json={"query": query}) for _ in range(4)))
        print([str(answer.json())[:200] for answer in answers])
        await asyncio.sleep(6)
    assert longest[0] < brief.query_timeout + 5
    codes = {error["extensions"]["code"] for answer in answers for error in answer.json().get("errors", ())}
    assert codes <= {"STORE_TIMEOUT", "BAD_USER_INPUT"}
