"""One driver, its sessions, and the border where Neo4j's errors become ours."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

import neo4j
from neo4j import GraphDatabase
from neo4j.exceptions import (
    AuthError,
    ClientError,
    DatabaseError,
    DriverError,
    IncompleteCommit,
    Neo4jError,
    ResultFailedError,
    TransientError,
)

from app.errors import BadRequest, IdentifierTaken, StoreError, StoreRefused, StoreTimeout, StoreUnavailable, ValueRefused
from app.graph.statements import statement

T = TypeVar("T")
Parameters = Mapping[str, Any]
CHANGING = ("IndexNotApplicable", "IndexNotFound")
TOO_LARGE = "TransactionOutOfMemoryError"  # transient to Neo4j; the same again would be as large
LIMIT = "db.memory.transaction.max threshold"  # of one transaction; that of all together is busy
RETRIES = (0.05, 0.2, 0.8)  # seconds
WRITE_RETRIES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
ROWS_AT_ONCE = 20  # of a statement whose rows may be of any length
ENDED = 2  # times that the database ends the connection over a statement and answers others, until that counts as refused
PROBE_SECONDS, PLAN_SECONDS = 2.0, 5.0
UNSENDABLE = (OverflowError, TypeError, ValueError, RecursionError)  # of the driver, for what Bolt cannot carry


class Transaction:
    """One open write transaction; `run` answers all records as lists of values."""

    def __init__(self, inner: neo4j.Transaction) -> None:
        self._inner = inner

    def run(self, cypher: str, **parameters: Any) -> list[list[Any]]:
        with _sendable():
            result = self._inner.run(cypher, parameters)
        return [record.values() for record in result]


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
            connection_acquisition_timeout=15,
            liveness_check_timeout=30,
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
        lost = 0
        for pause in (*RETRIES, None):
            try:
                with self._border(), self._held(neo4j.READ_ACCESS) as session:
                    with _sendable():
                        result = session.run(query, dict(parameters or {}))
                    return [record.values() for record in result]
            except StoreUnavailable as error:
                lost += isinstance(error.__cause__, DriverError)  # a pooled connection may have been closed meanwhile
                replanned = isinstance(error.__cause__, ClientError)  # a plan of before an index was made
                if lost >= ENDED and self._answers():
                    raise self._refused() from error
                if pause is None or not (replanned or lost == 1):
                    raise
                time.sleep(pause)
        raise AssertionError

    def plan(self, cypher: str, parameters: Parameters) -> dict[str, Any]:
        """Neo4j's plan of a reading statement, which is not run: operatorType, args, children."""
        with self._border(), self._session(neo4j.READ_ACCESS) as session:
            return dict(session.run(f"EXPLAIN {cypher}", dict(parameters)).consume().plan or {})

    def explain(self, cypher: str, parameters: Parameters) -> dict[str, Any]:
        """As `plan`, of what a user has written. Raises: BadRequest for what is no statement, with what Neo4j says of it."""
        with self._border(), self._session(neo4j.READ_ACCESS) as session:
            try:
                with _sendable():
                    explained = session.run(neo4j.Query(f"EXPLAIN {cypher}", timeout=PLAN_SECONDS), dict(parameters))  # type: ignore[arg-type]
                return dict(explained.consume().plan or {})
            except ClientError as error:
                if ".Statement." in (error.code or ""):
                    raise BadRequest(f"Neo4j: {error.message}"[:1000], where="statement") from error
                raise

    @contextmanager
    def rows(self, cypher: str, parameters: Parameters, timeout: float) -> Iterator[tuple[list[str], Iterator[list[Any]]]]:
        """(column names, rows as they come) of a reading statement; what is not taken is not read. Raises: StoreError."""
        session_ = self._driver.session(database=self.database, default_access_mode=neo4j.READ_ACCESS, fetch_size=ROWS_AT_ONCE)
        with self._border(), session_ as session:
            with _sendable():
                result = session.run(neo4j.Query(cypher, timeout=timeout), dict(parameters))  # type: ignore[arg-type]
            yield list(result.keys()), (record.values() for record in result)

    def table(self, cypher: str) -> tuple[list[str], list[list[Any]]]:
        """(column names, rows) of a reading statement without parameters."""
        with self._border(), self._session(neo4j.READ_ACCESS) as session:
            result = session.run(cypher)
            return list(result.keys()), [record.values() for record in result]

    def write(self, work: Callable[[Transaction], T]) -> T:
        """`work` in one transaction, tried again while the failure is transient.

        Raises: StoreRefused when the database ends the connection over it, again and again, while it serves others;
        StoreUnavailable when it serves nobody, or stays busy."""
        ended = 0
        for pause in (*WRITE_RETRIES, None):
            try:
                with self._border(), self._session(neo4j.WRITE_ACCESS) as session, session.begin_transaction() as inner:
                    done = work(Transaction(inner))
                    inner.commit()
                    return done
            except StoreUnavailable as error:
                ended += isinstance(error.__cause__, DriverError)
                if ended >= ENDED and self.writes():
                    raise self._refused() from error
                if pause is None or isinstance(error.__cause__, IncompleteCommit):
                    raise
                time.sleep(pause * random.uniform(0.5, 1.5))
            except StoreError as error:
                if isinstance(error.__cause__, DatabaseError) and not self.writes():
                    raise StoreUnavailable("Neo4j answers but cannot write", where=self.uri, hint=error.what) from error
                raise
        raise AssertionError

    def writes(self) -> bool:
        """Whether a small transaction can be committed now."""
        return self._takes(neo4j.WRITE_ACCESS, statement("store/probe"))

    def time(self) -> float:
        """The database's clock [s since 1970]. Raises: StoreError."""
        ((milliseconds,),) = self.read("RETURN datetime.realtime().epochMillis", timeout=PROBE_SECONDS)
        return float(milliseconds) / 1000

    def position(self) -> object:
        """Of the last transaction committed by anybody: while it is the same, nothing has changed. Raises: StoreError."""
        with self._border(), self._held(neo4j.READ_ACCESS) as session:
            with session.begin_transaction(timeout=PROBE_SECONDS) as empty:  # costs a third of `RETURN 1`
                empty.commit()
            return session.last_bookmarks().raw_values

    def has_stopped(self) -> bool:
        """Whether Neo4j answers, and begins no transaction: it must be restarted. Raises: StoreError without an answer."""
        try:
            self.read("RETURN 1", timeout=PROBE_SECONDS)
        except StoreError as error:
            if (getattr(error.__cause__, "code", None) or "").endswith("TransactionStartFailed"):
                return True
            raise
        return False

    def _answers(self) -> bool:
        return self._takes(neo4j.READ_ACCESS, "RETURN 1")

    def _takes(self, access: str, cypher: str) -> bool:
        try:
            with self._border(), self._session(access) as session:
                session.run(neo4j.Query(cypher, timeout=PROBE_SECONDS)).consume()  # type: ignore[arg-type]
        except StoreError:
            return False
        return True

    def _refused(self) -> StoreRefused:
        hint = "it holds a value that Neo4j does not take, or is too large for it"
        return StoreRefused("Neo4j ends the connection over this statement", where=self.uri, hint=hint)

    def once(self, cypher: str, **parameters: Any) -> list[list[Any]]:
        """One writing statement that commits by itself, for half of what `run` costs; tried again when Neo4j says it may be."""
        for pause in (*RETRIES, None):
            try:
                with self._border(), self._held(neo4j.WRITE_ACCESS) as session:
                    with _sendable():
                        result = session.run(cypher, parameters)
                    return [record.values() for record in result]
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
        """The session of this thread: to open one costs as much as a small read. One that has failed is not used again."""
        idle: neo4j.Session | None = getattr(self._local, access, None)
        session = idle if idle is not None else self._session(access)
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
        own = LIMIT in (getattr(error, "message", None) or "")
        if (getattr(error, "code", None) or "").endswith(TOO_LARGE) or own:
            hint = "less at once, or db.memory.transaction.max"
            return StoreError("the transaction needs more memory than Neo4j allows it", where=self.uri, hint=hint)
        if isinstance(error, TransientError | DriverError):
            hint = "it is tried again; see twingraph stack status"
            return StoreUnavailable("Neo4j is unreachable or overloaded", where=self.uri, hint=hint)
        return StoreError(f"Neo4j failed: {getattr(error, 'code', error)}", where=self.uri)


@contextmanager
def _sendable() -> Iterator[None]:
    """Around the sending of parameters alone. Raises: ValueRefused."""
    try:
        yield
    except UNSENDABLE as error:
        raise ValueRefused(f"a value cannot be sent to the graph: {error}"[:300], hint="whole numbers have 64 bits") from error


def _refusal(code: str) -> StoreError:
    if code.endswith("ConstraintValidationFailed"):
        return IdentifierTaken("the identifier is taken", hint="choose another dtId or change the twin that has it")
    if "TransactionTimedOut" in code:
        return StoreTimeout("the read took longer than allowed", hint="ask for less: a narrower filter or `first`")
    if code.endswith(("ArgumentError", "InvalidArguments", "TypeError", "ParameterMissing", "SemanticError")):
        hint = "latitudes lie between -90 and 90, times and numbers within their types"
        return ValueRefused("a value of the request is out of range", hint=hint)
    return StoreError(f"Neo4j refuses the statement: {code}")
