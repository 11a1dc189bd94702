"""One driver, its sessions, and the border where Neo4j's errors become ours."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

import neo4j
from neo4j import GraphDatabase
from neo4j.exceptions import AuthError, ClientError, DriverError, Neo4jError, ResultFailedError, TransientError

from app.errors import IdentifierTaken, StoreError, StoreTimeout, StoreUnavailable

T = TypeVar("T")
Parameters = Mapping[str, Any]
CHANGING = ("IndexNotApplicable", "IndexNotFound")
TOO_LARGE = "TransactionOutOfMemoryError"  # transient to Neo4j; the same again would be as large
RETRIES = (0.05, 0.2, 0.8)  # seconds


class Transaction:
    """One open write transaction; `run` answers all records as lists of values."""

    def __init__(self, inner: neo4j.ManagedTransaction) -> None:
        self._inner = inner

    def run(self, cypher: str, **parameters: Any) -> list[list[Any]]:
        return [record.values() for record in self._inner.run(cypher, parameters)]


class Store:
    """Reads and writes on one database. Raises StoreError and its kinds, never the driver's own."""

    def __init__(self, uri: str, user: str, password: str, database: str = "neo4j", pool: int = 32) -> None:
        self.uri, self.database = uri, database
        self._local = threading.local()
        self._driver = GraphDatabase.driver(
            uri,
            auth=(user, password),
            max_connection_pool_size=pool,
            connection_timeout=5,
            max_transaction_retry_time=3,
            initial_retry_delay=0.05,
            notifications_min_severity="OFF",
            user_agent="twingraph",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._driver.close()

    def verify(self) -> None:
        """Raises: StoreError when the database is away or the login is wrong."""
        with self._border():
            self._driver.verify_connectivity()

    def read(self, cypher: str, parameters: Parameters | None = None, timeout: float | None = None) -> list[list[Any]]:
        """All records as lists of values; an auto-commit read, refused when the statement writes."""
        query = neo4j.Query(cypher, timeout=timeout)
        for pause in (*RETRIES, None):
            try:
                with self._border(), self._held(neo4j.READ_ACCESS) as session:
                    return [record.values() for record in session.run(query, dict(parameters or {}))]
            except StoreUnavailable as error:
                if pause is None or not isinstance(error.__cause__, ClientError):  # a plan of before an index was made
                    raise
                time.sleep(pause)
        raise AssertionError

    def plan(self, cypher: str, parameters: Parameters) -> dict[str, Any]:
        """Neo4j's plan of a reading statement, which is not run: operatorType, args, children."""
        with self._border(), self._session(neo4j.READ_ACCESS) as session:
            return dict(session.run(f"EXPLAIN {cypher}", dict(parameters)).consume().plan or {})

    def table(self, cypher: str) -> tuple[list[str], list[list[Any]]]:
        """(column names, rows) of a reading statement without parameters."""
        with self._border(), self._session(neo4j.READ_ACCESS) as session:
            result = session.run(cypher)
            return list(result.keys()), [record.values() for record in result]

    def write(self, work: Callable[[Transaction], T]) -> T:
        """`work` in one transaction, tried again while the failure is transient."""
        with self._border(), self._session(neo4j.WRITE_ACCESS) as session:
            return session.execute_write(lambda inner: work(Transaction(inner)))

    def once(self, cypher: str, **parameters: Any) -> list[list[Any]]:
        """One writing statement that commits by itself, for half of what `run` costs; tried again when Neo4j says it may be."""
        for pause in (*RETRIES, None):
            try:
                with self._border(), self._held(neo4j.WRITE_ACCESS) as session:
                    return [record.values() for record in session.run(cypher, parameters)]
            except StoreUnavailable as error:
                if pause is None or not isinstance(error.__cause__, TransientError):
                    raise
                time.sleep(pause * random.uniform(0.5, 1.5))
        raise AssertionError

    def run(self, cypher: str, **parameters: Any) -> list[list[Any]]:
        """One writing statement in its own transaction."""
        return self.write(lambda transaction: transaction.run(cypher, **parameters))

    def command(self, cypher: str, **parameters: Any) -> list[list[Any]]:
        """A statement that must not be inside a transaction: schema changes, `CALL … IN TRANSACTIONS`."""
        with self._border(), self._session(neo4j.WRITE_ACCESS) as session:
            return [record.values() for record in session.run(cypher, parameters)]

    @contextmanager
    def _held(self, access: str) -> Iterator[neo4j.Session]:
        """This thread's session: to open one costs as much as a small read. One that has failed is not used again."""
        held: neo4j.Session | None = getattr(self._local, access, None)
        session = held if held is not None else self._session(access)
        setattr(self._local, access, None)
        try:
            yield session
        except BaseException:
            with suppress(Neo4jError, DriverError):  # an interrupt must not be lost in the failure that follows it
                session.close()
            raise
        setattr(self._local, access, session)

    def _session(self, access: str) -> neo4j.Session:
        return self._driver.session(database=self.database, default_access_mode=access)

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except (Neo4jError, DriverError) as error:
            raise self._ours(error) from error
        except OverflowError as error:
            raise StoreError("a whole number is too large for the graph", hint="64 bits", code="BAD_USER_INPUT") from error

    def _ours(self, error: Exception) -> StoreError:
        """The server's messages may quote Cypher or data, so their codes alone are shown."""
        if isinstance(error, ResultFailedError):
            reason = error.__cause__ or error.__context__
            if isinstance(reason, Neo4jError | DriverError):
                return self._ours(reason)
        if isinstance(error, AuthError):
            hint = "TWINGRAPH_NEO4J_USER and TWINGRAPH_NEO4J_PASSWORD"
            return StoreError("Neo4j refuses the login", where=self.uri, hint=hint, code="STORE_LOGIN")
        if isinstance(error, ClientError):
            if (error.code or "").endswith(CHANGING):
                return StoreUnavailable("Neo4j builds an index", where=self.uri, hint="it is tried again")
            return _refusal(error.code or "")
        if (getattr(error, "code", None) or "").endswith(TOO_LARGE):
            hint = "less at once, or db.memory.transaction.max"
            return StoreError("the transaction needs more memory than Neo4j allows it", where=self.uri, hint=hint)
        if isinstance(error, TransientError | DriverError):
            hint = "it is tried again; see twingraph stack status"
            return StoreUnavailable("Neo4j is away or busy", where=self.uri, hint=hint)
        return StoreError(f"Neo4j failed: {getattr(error, 'code', error)}", where=self.uri)


def _refusal(code: str) -> StoreError:
    if code.endswith("ConstraintValidationFailed"):
        return IdentifierTaken("the identifier is taken", hint="choose another dtId or change the twin that has it")
    if "TransactionTimedOut" in code:
        return StoreTimeout("the read took longer than allowed", hint="ask for less: a narrower filter or `first`")
    if code.endswith(("ArgumentError", "InvalidArguments", "TypeError", "ParameterMissing", "SemanticError")):
        hint = "patterns are those of Java; latitudes lie between -90 and 90"
        return StoreError("a value of the request does not fit", hint=hint, code="BAD_USER_INPUT")
    return StoreError(f"Neo4j refuses the statement: {code}")
