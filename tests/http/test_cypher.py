"""Cypher for people without the database's login: what its plan may do, within a key's limits; and the login's own entrance."""

import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.errors import StoreError, StoreUnavailable
from app.identity import keys
from app.identity.keys import Grant
from app.report import report_names
from app.settings import Settings
from app.stack.child import port_is_open
from tests.conftest import eventually
from tests.graphql.conftest import START
from tests.graphql.test_access import client

Key = dict[str, str]


@pytest.fixture(scope="module")
def roles(app: FastAPI) -> Key:
    made = {role: keys.create(app.state.server.store, Grant(role, role)) for role in ("reader", "engineer")}
    made["part"] = keys.create(app.state.server.store, Grant("part", "engineer", ("north",), ("contains",)))
    return made


async def asked(app: FastAPI, key: str, statement: str, **parameters: Any) -> httpx.Response:
    async with client(app, key) as http:
        return await http.post("/api/cypher", json={"statement": statement, "parameters": parameters}, timeout=60)


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("MATCH (t:Turbine) RETURN t.dtId ORDER BY t.dtId", [["t1"], ["t2"], ["t3"]]),
        ("MATCH (t:Turbine {dtId: $dtId})<-[:contains]-(f) RETURN f.name, t.commissioned", [["North", "2022-01-01"]]),
        (
            "MATCH (f:WindFarm)-[:contains]->(t) WITH f, count(t) AS n RETURN f.dtId, n ORDER BY n DESC",
            [["north", 2], ["south", 1]],
        ),
        ("MATCH (:Turbine {dtId: 't1'})-[:_HISTORY]->(s) RETURN min(s._from)", [[START]]),
        ("MATCH (t:Turbine) WHERE EXISTS { (t)-[:hasComponent]->(:Gearbox) } RETURN t.dtId", [["t1"]]),
        ("MATCH p = SHORTEST 1 (a:Twin {dtId: 't1'})--+(b:Twin {dtId: 'south'}) RETURN length(p)", []),
        ("CALL db.labels() YIELD label WHERE label = 'Turbine' RETURN label", [["Turbine"]]),
        (
            "MATCH (f:WindFarm) CALL (f) { MATCH (f)-[:contains]->(t) RETURN max(t.dtId) AS m } RETURN m ORDER BY m",
            [["t2"], ["t3"]],
        ),
        ("MATCH (t:Turbine) RETURN percentileCont(t.ratedPower, 0.5), percentileCont(t.ratedPower, 0.9)", [[3000.0, 3000.0]]),
        ("MATCH p = (f:WindFarm)-[:contains*1..2]->(t) WHERE all(n IN nodes(p) WHERE n.name <> 'x') RETURN count(p)", [[3]]),
        (
            "MATCH (f:WindFarm)-->(t) WITH f, collect({name: t.name}) AS l RETURN f.dtId, size(l) ORDER BY f.dtId LIMIT 1",
            [["north", 2]],
        ),
        ("UNWIND $list AS x RETURN x.a AS `=~`, '=~' AS s", [[1, "=~"]]),
    ],
)
async def test_what_reads_is_answered(statement: str, rows: list[Any], app: FastAPI, roles: Key) -> None:
    answer = await asked(app, roles["engineer"], statement, dtId="t1", list=[{"a": 1}])
    assert answer.status_code == 200, answer.text
    assert rows is None or answer.json()["rows"] == rows, answer.text
    assert answer.json()["more"] is False


async def test_nodes_and_relationships_are_shown(app: FastAPI, roles: Key) -> None:
    statement = "MATCH (f:WindFarm {dtId: 'north'})-[r:contains]->(t:Turbine {dtId: 't1'}) RETURN f, r"
    farm, relationship = (await asked(app, roles["engineer"], statement)).json()["rows"][0]
    assert farm["properties"]["region"] == "Coast"
    assert "WindFarm" in farm["labels"]
    assert (relationship["type"], relationship["start"]) == ("contains", farm["id"])


@pytest.mark.parametrize(
    "statement",
    [
        "MATCH (t:Twin) SET t.name = 'x'",
        "CREATE (n:Twin)",
        "MATCH (t:Twin) DETACH DELETE t",
        "MERGE (t:Twin {dtId: 'x'})",
        "FOREACH (x IN [1] | CREATE (:A))",
        "MATCH (t:Twin) CALL (t) { SET t.y = 1 } IN TRANSACTIONS",
        "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
        "LOAD CSV FROM 'http://127.0.0.1/x' AS line RETURN line",
        "MATCH (k:_Key) RETURN k.hash",
        "MATCH (k:`_Key`) RETURN k",
        "MATCH (n) RETURN n",
        "MATCH (n) WHERE n:_Key RETURN n",
        "MATCH (n:$('_Key')) RETURN n",
        "MATCH (n:$($label)) RETURN n",
        "MATCH (n:Twin|_Key) RETURN n",
        "MATCH (n:!Twin) RETURN n",
        "MATCH (t:Twin) WHERE elementId(t) = '4:x:1' RETURN t",
        "MATCH (n) WHERE elementId(n) = '4:x:1' RETURN n",
        "RETURN COLLECT { MATCH (k:_Key) RETURN k.hash }",
        "RETURN [x IN [1] | COLLECT { MATCH (n) RETURN n.hash }]",
        "RETURN reduce(a = 0, x IN [1] | a + COUNT { MATCH (k) WHERE k.hash > 'a' })",
        "MATCH (t:Twin) RETURN [x IN [1] | [(t)--(n) | n.hash]]",
        "MATCH (t:Twin) WHERE t.name =~ '(a+)+$' RETURN t",
        "MATCH (t:Twin) WHERE t.name \\u003d\\u007e 'x' RETURN t",
        "MATCH (t:Twin) RETURN t ORDER BY t.name =~ 'y'",
        "MATCH (t:Twin) WHERE any(x IN ['a'] WHERE t.name =~ x) RETURN t",
        "RETURN [x IN range(1, 200000000) | x] AS list",
        "RETURN size([x IN range(1, 200000000) | x])",
        "UNWIND range(1, 5000000) AS x WITH collect(x) AS l RETURN [y IN l WHERE y > 3]",
        "RETURN reduce(s = 'aaaa', x IN range(1, 40) | s + s)",
        "MATCH (t:Twin) RETURN replace(t.name, 'a', 'bbbbbbbbbbbb')",
        "RETURN range(1, 1000000000)",
        "UNWIND range(1, size(range(1, 1000000000))) AS x RETURN x",
        "WITH 'aaaa' AS a " + "WITH a + a AS a " * 30 + "RETURN a",
        "WITH [1] AS a " + "WITH [a, a, a, a] AS a " * 20 + "RETURN a",
        "WITH {a: 1} AS a " + "WITH {a: a, b: a} AS a " * 30 + "RETURN a",
        "WITH max($x" + "+ $x" * 33 + ") AS a WITH max(a" + "+ a" * 33 + ") AS b WITH max(b" + "+ b" * 33 + ") AS c RETURN c",
        "MATCH (s:_Segment) RETURN collect(s)",
        "MATCH (s:_Segment) WITH s LIMIT 1 UNWIND range(1, 1000000) AS x RETURN collect(s)",
        "MATCH (s:_Segment) UNWIND range(1, 1000000) AS x RETURN collect({s: s})",
        "MATCH (s:_Segment) UNWIND range(1, 1000000) AS `x y` WITH s AS `a b` RETURN collect(`a b`)",
        "UNWIND range(1, 300000) AS x WITH collect(toString(x)) AS l RETURN none(a IN l WHERE none(b IN l WHERE a + b < 'a'))",
        "SHOW TRANSACTIONS",
        "SHOW USERS",
        "SHOW SETTINGS",
        "TERMINATE TRANSACTION 'neo4j-transaction-1'",
        "CALL dbms.listConfig() YIELD name RETURN name",
        "CALL dbms.components()",
        "CALL db.clearQueryCaches()",
        "CREATE USER x SET PASSWORD 'abcdefgh'",
        "DROP INDEX _event_at",
        "USE system SHOW DATABASES",
        "MATCH (t:Twin) RETURN t; MATCH (t:Twin) DETACH DELETE t",
        "PROFILE MATCH (t:Twin) RETURN t",
        "MATCH (t:Twin RETURN",
        "",
    ],
)
async def test_what_does_more_is_refused(statement: str, app: FastAPI, roles: Key) -> None:
    answer = await asked(app, roles["engineer"], statement, label="_Key", x="a" * 54_000)
    assert answer.status_code in (403, 413, 422), answer.text
    assert answer.json()["code"] in ("FORBIDDEN", "BAD_REQUEST", "TOO_LARGE")
    assert answer.json()["where"] == "statement"


async def test_it_is_for_engineers_of_the_whole_graph(app: FastAPI, roles: Key) -> None:
    for key in ("reader", "part"):
        assert (await asked(app, roles[key], "MATCH (t:Turbine) RETURN t")).status_code == 403
    async with client(app, roles["reader"]) as http:
        assert {one["name"] for one in (await http.get("/api/reports")).json()} == set(report_names())
        for name in report_names():
            answer = await http.get(f"/api/reports/{name}")
            assert answer.status_code == 200, answer.text
            assert answer.json()["columns"]
        assert (await http.get("/api/reports/none")).status_code == 404
    async with client(app, roles["part"]) as http:
        assert (await http.get("/api/reports")).status_code == 403


async def test_it_ends_within_time_and_size(app: FastAPI, roles: Key) -> None:
    key, store = roles["engineer"], app.state.server.store
    began = time.monotonic()
    answer = await asked(app, key, "UNWIND range(1, 10000000) AS a UNWIND range(1, 10000000) AS b RETURN max(a * b)")
    assert (answer.status_code, time.monotonic() - began < 25) == (504, True)
    running = "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery STARTS WITH 'UNWIND' RETURN count(*)"
    assert eventually(lambda: store.read(running) == [[0]], 5)
    answer = await asked(app, key, "UNWIND range(1, 100000000) AS x WITH x ORDER BY -x RETURN x")
    assert answer.json()["code"] in ("STORE_FAILED", "STORE_TIMEOUT"), answer.text
    answer = await asked(app, key, "RETURN $x", x="a" * 70_000)
    assert answer.json()["code"] == "TOO_LARGE"
    many = (await asked(app, key, "UNWIND range(1, 20000) AS a RETURN a")).json()
    assert (len(many["rows"]), many["more"]) == (10_000, True)
    wide = await asked(app, key, "UNWIND range(1, 5000) AS a RETURN $x", x="a" * 60_000)
    assert wide.json()["more"] is True
    assert len(wide.content) < 17 * 1024**2


def test_the_database_listens_on_loopback(settings: Settings, served: Settings) -> None:
    """Whatever the server listens on: the database's one login passes all roles."""
    conf = (settings.home / "neo4j" / "conf" / "neo4j.conf").read_text()
    assert f"server.bolt.listen_address=127.0.0.1:{settings.bolt_port}" in conf
    open_to_all = Settings.read(home=settings.home, host="0.0.0.0")
    assert open_to_all.neo4j_host == "127.0.0.1"
    assert port_is_open(settings.neo4j_host, settings.bolt_port)


def test_files_are_shut_to_the_login_itself(app: FastAPI, settings: Settings) -> None:
    store = app.state.server.store
    for url in ("file:///etc/passwd", f"file://{settings.home}/secrets/token", "http://127.0.0.1:1/x"):
        with pytest.raises(StoreError) as refused:
            store.read(f"LOAD CSV FROM '{url}' AS line RETURN line")
        assert not isinstance(refused.value, StoreUnavailable)
    assert store.read("RETURN 1") == [[1]]  # it was not the database that was away
