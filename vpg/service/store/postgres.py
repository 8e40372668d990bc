"""The store in PostgreSQL, for several service processes or machines behind one: psycopg 3.

Owns: the connections, and exactness between processes. Does not own: what is written (``sql.py``).
Times: ``SimUs``.

The key (source, id) decides what is new: who comes second waits for the first one's commit, then
sees its event. One row (``setting``, name ``memory``) says of which version what a process keeps in
memory is: groups share a lock on it, a change of VPGs or lines takes it alone, so that no group is
counted by a config that another process has replaced. All take locks in the order of their keys.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import errors

from vpg.errors import InputError, Problem
from vpg.service.ports import StoreTroubleError
from vpg.service.store import tables
from vpg.service.store.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vpg.billing.calendar import BusinessCalendar
    from vpg.rating.counting import Fact
    from vpg.service.store.driver import Row

_SCHEMA: Final = "vpg"
_CONNECT_S: Final = 5
_SESSION: Final = (
    f"SET search_path = {_SCHEMA}",
    "SET synchronous_commit = on",
    "SET lock_timeout = '10s'",
    "SET statement_timeout = '60s'",
    "SET timezone = 'UTC'",
)
_REASONS: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.DiskFull, "the disk is full"),
    (errors.ReadOnlySqlTransaction, "the database is read-only"),
    (errors.LockNotAvailable, "another program holds a table locked"),
    (errors.DeadlockDetected, "two writers waited for each other"),
    (errors.InsufficientPrivilege, "the database may not be written to"),
    (errors.DataCorrupted, "the database is damaged"),
    (errors.QueryCanceled, "the database takes too long"),
    (errors.UndefinedTable, "a table is missing"),
    (psycopg.OperationalError, "the database cannot be reached"),
)
_FACT_TYPES: Final = (
    *("bigint", "text", "bigint", "bigint", "bigint", "bigint", "text"),
    *("bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "text"),
)
_ARRAYS: Final = ", ".join(f"%s::{kind}[]" for kind in _FACT_TYPES)
_INSERT: Final = (
    f"INSERT INTO event SELECT * FROM unnest({_ARRAYS})"  # noqa: S608 - names of our own
    " ON CONFLICT DO NOTHING RETURNING source_no, id"
).encode()
_FIRST_VERSION: Final = (
    f"INSERT INTO setting VALUES ('version', '{tables.VERSION}') ON CONFLICT DO NOTHING"  # noqa: S608
)
_AT_INDEX: Final = "CREATE INDEX IF NOT EXISTS event_at ON event USING brin (at_us)"


def trouble(error: psycopg.Error) -> StoreTroubleError:
    """Return the trouble that ``error`` is, with a short reason and no address or password."""
    reason = next((text for kind, text in _REASONS if isinstance(error, kind)), "")
    return StoreTroubleError(reason or f"the database refuses: {type(error).__name__}")


class PostgresStore(SqlStore):
    """The store in one PostgreSQL database; see ``vpg.service.store.base.Store``."""

    remote = True

    def __init__(
        self, url: str, *, calendar: BusinessCalendar | None = None, sync_delay_us: int = 0
    ) -> None:
        """Connect to ``url``, and make the tables if they are not there.

        Raises ``InputError`` for tables of a newer version, ``StoreTroubleError`` where the
        database cannot be reached or written to.
        """
        super().__init__(calendar=calendar, sync_delay_us=sync_delay_us)
        self._url = url
        self._readers: list[psycopg.Connection[Any]] = []
        self._own = threading.local()
        """Each thread's own reader: a long look holds nobody up."""
        self._writer: psycopg.Connection[Any] | None = None
        try:
            self._make()
            self._kept(self._load)
        except BaseException:
            self.close()
            raise

    # ---- connections ---------------------------------------------------------------------------

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=_CONNECT_S, application_name="vpg"
            )
            try:
                for sql in _SESSION:
                    connection.execute(sql.encode())
            except BaseException:
                connection.close()
                raise
        except psycopg.Error as error:
            raise trouble(error) from error
        return connection

    def _of_writer(self) -> psycopg.Connection[Any]:
        if self._writer is None or self._writer.closed:
            self._writer = self._connect()
        return self._writer

    def _of_reader(self) -> psycopg.Connection[Any]:
        reader: psycopg.Connection[Any] | None = getattr(self._own, "reader", None)
        if reader is None or reader.closed:
            reader = self._own.reader = self._connect()
            self._readers.append(reader)
        return reader

    def _make(self) -> None:
        try:
            writer = self._of_writer()
            with writer.transaction():
                # Of processes that start together one makes the tables.
                writer.execute(f"SELECT pg_advisory_xact_lock({tables.APPLICATION_ID})".encode())
                writer.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}".encode())
                for name, columns in tables.TABLES.items():
                    typed = columns.replace("source_no INTEGER PRIMARY KEY", _IDENTITY)
                    typed = typed.replace("INTEGER", "BIGINT")
                    writer.execute(f"CREATE TABLE IF NOT EXISTS {name} ({typed})".encode())
                for sql in (*tables.INDEXES, _AT_INDEX):
                    writer.execute(sql.encode())
                for name, rows in tables.NAMES.items():
                    self._many(tables.PUT_NAME[name], rows)
                self._query(tables.FIRST_MEMORY)
                self._query(_FIRST_VERSION)
                version = int(self._query("SELECT value FROM setting WHERE name = 'version'")[0][0])
        except psycopg.Error as error:
            raise trouble(error) from error
        if version > tables.VERSION:
            values = {"file": "the database", "version": version, "known": tables.VERSION}
            raise InputError([Problem(code="VPG1802", values=values)])

    # ---- what ``SqlStore`` asks ----------------------------------------------------------------

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return _run(self._of_writer(), sql, values)

    def _many(self, sql: str, rows: Iterable[Row]) -> None:
        try:
            with self._of_writer().cursor() as cursor:
                cursor.executemany(sql.replace("?", "%s").encode(), list(rows))
        except psycopg.Error as error:
            raise trouble(error) from error

    def _begin(self, *, changes: bool) -> bool:
        self._query("BEGIN")
        lock = "UPDATE" if changes else "SHARE"
        return int(self._query(f"{tables.MEMORY} FOR {lock}")[0][0]) != self._memory

    def _commit(self) -> None:
        if self.sync_delay_us:
            time.sleep(self.sync_delay_us / 1_000_000)
        self._query("COMMIT")

    def _rollback(self) -> None:
        if self._writer is None or self._writer.closed:
            return
        with suppress(psycopg.Error):
            self._writer.execute(b"ROLLBACK")
            return
        self._writer.close()

    def _insert(self, facts: Sequence[Fact]) -> set[int] | None:
        first: dict[Row, int] = {}
        for place, fact in enumerate(facts):
            first.setdefault(fact[:2], place)
        rows = [facts[first[key]] for key in sorted(first)]
        columns = [list(column) for column in zip(*rows, strict=True)]
        try:
            found = self._of_writer().execute(_INSERT, columns).fetchall()
        except psycopg.Error as error:
            raise trouble(error) from error
        if len(found) == len(facts):
            return None
        return {first[row[0], row[1]] for row in found}

    def _new_source(self, name: tuple[str, str]) -> int:
        self._query(_NEW_SOURCE, name)
        found = self._query(tables.FIND_SOURCE, name)
        return int(found[0][0])

    def _counted_since(self, vpg_no: int, at_us: int) -> bool:
        sql = "SELECT 1 FROM event WHERE vpg_no = ? AND at_us >= ? LIMIT 1"
        return bool(self._query(sql, (vpg_no, at_us)))

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._told("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            with suppress(StoreTroubleError):
                self._told("ROLLBACK")

    def _told(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return _run(self._of_reader(), sql, values)

    def close(self) -> None:
        """Let go of the database; what is staged is undone."""
        for connection in self._readers:
            connection.close()
        if self._writer is not None:
            self._writer.close()


_NEW_SOURCE: Final = "INSERT INTO source (operator_id, source) VALUES (?, ?) ON CONFLICT DO NOTHING"
_IDENTITY: Final = "source_no INTEGER GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"


def _run(connection: psycopg.Connection[Any], sql: str, values: Sequence[Any]) -> list[Row]:
    try:
        cursor = connection.execute(sql.replace("?", "%s").encode(), values or None)
        return cursor.fetchall() if cursor.description is not None else []
    except psycopg.Error as error:
        raise trouble(error) from error
