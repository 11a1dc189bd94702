"""Operations by their hash: sent once, listed in a folder, or nothing but those of the folder."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from app.errors import QueryError, SettingError
from app.graphql.answer.persisted import Persisted
from tests.graphql.conftest import Ask

QUERY = "{ turbines { dtId } }"


def named(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "turbines.graphql").write_text(QUERY + "\n")
    return str(tmp_path)


def test_what_was_sent_once_is_known_by_its_hash() -> None:
    known = Persisted("", False)
    with pytest.raises(QueryError, match="PersistedQueryNotFound"):
        known.text(None, named(QUERY))
    assert known.text(QUERY, named(QUERY)) == QUERY
    assert known.text(None, named(QUERY)) == QUERY
    with pytest.raises(QueryError, match="not that of the query"):
        known.text("{ models { dtmi } }", named(QUERY))


def test_a_folder_lists_operations(folder: str) -> None:
    assert Persisted(folder, False).text(None, named(QUERY)) == QUERY
    only = Persisted(folder, True)
    assert only.text(QUERY, None) == QUERY
    for query, extensions in (("{ me { name } }", None), ("{ me { name } }", named("{ me { name } }"))):
        with pytest.raises(QueryError, match="not on the list"):
            only.text(query, extensions)


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no folder"):
        Persisted(str(tmp_path / "none"), False)
    with pytest.raises(SettingError, match="without operations"):
        Persisted(str(tmp_path), True)


async def test_a_hash_alone_is_answered_over_http(http: Any) -> None:
    missed = (await http.post("/graphql", json={"extensions": named(QUERY)})).json()
    assert missed["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    full = (await http.post("/graphql", json={"query": QUERY, "extensions": named(QUERY)})).json()
    assert (await http.post("/graphql", json={"extensions": named(QUERY)})).json() == full
    assert len(full["data"]["turbines"]) == 3


async def test_models_and_twins_come_in_by_mutations(ask: Ask) -> None:
    fan = {
        "@context": "dtmi:dtdl:context;3",
        "@id": "dtmi:test:Fan;1",
        "@type": "Interface",
        "contents": [{"@type": "Property", "name": "speed", "schema": "double", "writable": True}],
    }
    load = "mutation($d: [JSON!]!) { loadModels(documents: $d) { dtmi label } }"
    assert (await ask(load, d=[fan]))["data"]["loadModels"] == [{"dtmi": "dtmi:test:Fan;1", "label": "Fan"}]
    twins = [{"$dtId": f"fan{n}", "$metadata": {"$model": "dtmi:test:Fan;1"}, "speed": n} for n in range(3)]
    fields = "id status done total twins reason"
    job = (await ask(f"mutation($d: [JSON!]!) {{ importTwins(documents: $d) {{ {fields} }} }}", d=twins))["data"]["importTwins"]
    while job["status"] == "RUNNING":
        await asyncio.sleep(0.05)
        job = (await ask(f"query($id: ID!) {{ job(id: $id) {{ {fields} }} }}", id=job["id"]))["data"]["job"]
    assert (job["status"], job["done"], job["twins"]) == ("SUCCEEDED", 3, 3)
    assert (await ask("{ fans(where: { speed: { gt: 0 } }) { dtId } }"))["data"]["fans"] == [{"dtId": "fan1"}, {"dtId": "fan2"}]
    held = (await ask('mutation { deleteModel(model: "Fan") }'))["errors"][0]
    assert held["extensions"]["code"] == "CONFLICT"
    away = (await ask('mutation { decommissionModel(model: "Fan") createTwin(dtId: "fan9", model: "Fan") { dtId } }'))[
        "errors"
    ][0]
    assert "decommissioned" in away["message"]
    bad = (await ask(load, d=[fan | {"@id": "dtmi:test:Bad;1", "extends": "dtmi:test:None;1"}]))["errors"][0]
    assert bad["extensions"]["code"] == "MODEL_INVALID"
    assert bad["extensions"]["problems"]
