"""What `twingraph keys` prints can be copied."""

import pytest

from app.identity import keys
from app.identity.keys import Grant
from app.settings import Settings
from app.twins.registry import Registry
from tests.conftest import twingraph


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_an_id_is_whole_however_narrow_the_terminal(columns: str, registry: Registry, settings: Settings) -> None:
    key = keys.create(registry.store, Grant("a name that is rather long for a table", "reader"))
    listed = twingraph(settings, "keys", "list", COLUMNS=columns)
    assert key.split("_")[1] in listed.stdout, listed.stderr
