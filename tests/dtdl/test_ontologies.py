"""Published ontologies load whole."""

import pytest

from app.dtdl import compile_models, lower, read_documents
from app.graph.store import Store
from app.twins.registry import Registry, read_models
from tests.conftest import SHARED, needs_shared, wipe

ONTOLOGIES = (("realestatecore", 767), ("energygrid", 113), ("isa95", 180), ("pnp-devices", 195))


@needs_shared
@pytest.mark.parametrize(("name", "count"), ONTOLOGIES)
def test_ontology_compiles(name: str, count: int) -> None:
    documents, problems = read_documents([SHARED / "dtdl" / "ontologies" / name])
    catalog = compile_models(documents)
    assert problems == []
    assert len(catalog.interfaces) == count
    assert len(set(catalog.labels.values())) == count
    assert len(lower(catalog).interfaces) == count


@needs_shared
def test_all_ontologies_load_into_one_graph(store: Store) -> None:
    wipe(store)
    registry = Registry(store)
    for name, _ in ONTOLOGIES:
        registry.load(read_models([SHARED / "dtdl" / "ontologies" / name]))
    ((interfaces, extends),) = store.read(
        "MATCH (i:_Interface) OPTIONAL MATCH (i)-[r:_EXTENDS]->() RETURN count(DISTINCT i), count(r)"
    )
    assert interfaces == sum(count for _, count in ONTOLOGIES)
    assert extends > 1000
    assert Registry(store).catalog.labels == registry.catalog.labels


@needs_shared
def test_inherited_contents_are_effective() -> None:
    catalog = compile_models(read_documents([SHARED / "dtdl" / "ontologies" / "realestatecore"])[0])
    room = catalog.interface("dtmi:digitaltwins:rec_3_3:building:DiningRoom;1").dtmi
    space = catalog.interface("dtmi:digitaltwins:rec_3_3:core:Space;1")
    assert catalog.is_a(room, space.dtmi)
    assert catalog.contents[room].keys() >= {content.name for content in space.contents}
    assert space.contents
