"""What we use of libraries beyond their public interface: it is there in the versions named here, and no more is used."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import asyncua.client.ua_client
import asyncua.common.subscription
import pytest
import strawberry
import uvicorn
from confluent_kafka import KafkaError
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.subscriptions.protocols.graphql_transport_ws import handlers
from uvicorn.protocols.http import flow_control, httptools_impl

from tests.docs.test_maps import SOURCES


@dataclass(frozen=True, slots=True)
class Contract:
    """`names` of `owner`, which is a class or a module of `library`; `versions`: how those begin with which it holds."""

    library: str
    versions: tuple[str, ...]
    owner: Any
    names: tuple[str, ...]


CONTRACTS = (
    Contract("strawberry-graphql", ("0.341",), strawberry.Schema, ("_schema",)),
    Contract("strawberry-graphql", ("0.341",), strawberry.Schema, ("process_errors", "stream")),
    Contract("graphql-core", ("3.3",), StrawberryGraphQLCoreExecutionContext, ("build",)),
    Contract(
        "strawberry-graphql",
        ("0.341",),
        handlers.BaseGraphQLTransportWSHandler,
        ("handle", "handle_connection_init", "handle_message", "handle_invalid_message", "run_operation"),
    ),
    Contract("strawberry-graphql", ("0.341",), strawberry.types.ExecutionContext, ("_provided_operation_name",)),
    Contract("confluent-kafka", ("2.",), KafkaError, ("_AUTHENTICATION", "_PARTITION_EOF", "_ALL_BROKERS_DOWN")),
    Contract("asyncua", ("2.1",), asyncua.common.subscription.Subscription, ("_subscribe", "_replaying")),
    Contract(
        "asyncua",
        ("2.1",),
        asyncua.common.subscription.Subscription,
        ("publish_callback", "recreate", "last_sequence_number", "last_publish_at", "subscription_id"),
    ),
    Contract("asyncua", ("2.1",), asyncua.client.ua_client.UaClient, ("_subscription_callbacks",)),
    Contract(
        "uvicorn",
        ("0.54",),
        httptools_impl.HttpToolsProtocol,
        ("flow", "cycle", "pipeline", "headers", "url", "connections", "parser", "loop", "scope", "transport"),
    ),
    Contract(
        "uvicorn",
        ("0.54",),
        httptools_impl.HttpToolsProtocol,
        ("_unset_keepalive_if_required", "_should_upgrade", "_unsupported_upgrade_warning", "handle_websocket_upgrade"),
    ),
    Contract("uvicorn", ("0.54",), httptools_impl, ("STATUS_LINE",)),
    Contract("uvicorn", ("0.54",), httptools_impl.RequestResponseCycle, ("response_started", "response_complete")),
    Contract("uvicorn", ("0.54",), flow_control.FlowControl, ("read_paused", "write_paused")),
    Contract("uvicorn", ("0.54",), uvicorn.Server, ("startup", "capture_signals")),
)
# Set by us on an object of a library's, or of a class of our own.
OURS = {"_strawberry_schema"}


def had(owner: Any) -> set[str]:
    """Attributes of a class or module, those that its methods assign to `self` included."""
    names = set(dir(owner))
    for one in inspect.getmro(owner) if inspect.isclass(owner) else ():
        with suppress(OSError, TypeError):  # of C
            tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
            names |= {
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value)
            }
    return names


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda one: f"{one.library}-{one.names[0]}")
def test_what_is_used_is_there(contract: Contract) -> None:
    assert version(contract.library).startswith(contract.versions), "look at what has changed, then name the version here"
    assert set(contract.names) <= had(contract.owner)


def touched() -> Iterator[tuple[str, str]]:
    """(file, attribute) of private attributes of anything but `self`, `cls` and `super()`."""
    for file in (file for file in SOURCES if not file.stem.endswith("_pb2")):  # generated
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                yield from () if _is_self(node.value) else ((str(file), node.attr),)


def _is_self(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


def test_nothing_private_of_others_is_touched_but_by_contract() -> None:
    named = {name for contract in CONTRACTS for name in contract.names} | OURS
    assert [(file, name) for file, name in touched() if name not in named] == []
