"""The embedded store: one SQLite file in WAL mode, every commit synced to the disk.

Owns: the file (its version, its locks), the connections, and how a group's new events are told from
those that were there. Does not own: what is written (``sql.py``). Times: ``SimUs``.

``synchronous=FULL`` syncs the log at each commit: what is acknowledged survives a power cut. One
connection writes, from whichever thread holds the group; another reads beside it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vpg.errors import InputError, Problem
from vpg.service.ports import StoreTroubleError
from vpg.service.store import tables
from vpg.service.store.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from vpg.billing.calendar import BusinessCalendar
    from vpg.rating.counting import Fact
    from vpg.service.store.driver import Row

_BUSY_MS = 250
_REASONS = (
    (sqlite3.SQLITE_FULL, "the disk is full"),
    (sqlite3.SQLITE_READONLY, "the file is read-only"),
    (sqlite3.SQLITE_BUSY, "another program holds the file locked"),
    (sqlite3.SQLITE_LOCKED, "another program holds the file locked"),
    (sqlite3.SQLITE_CORRUPT, "the file is damaged"),
    (sqlite3.SQLITE_NOTADB, "the file is no database"),
    (sqlite3.SQLITE_CANTOPEN, "the file cannot be opened"),
    (sqlite3.SQLITE_IOERR, "the disk reports an error"),
    (sqlite3.SQLITE_PERM, "the file may not be accessed"),
)


def trouble(error: sqlite3.Error) -> StoreTroubleError:
    """Return the trouble that ``error`` is, with a short reason."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    reason = next((text for number, text in _REASONS if number == code), str(error))
    return StoreTroubleError(reason)


class SqliteStore(SqlStore):
    """The store in one SQLite file; see ``vpg.service.store.base.Store``."""

    def __init__(
        self,
        path: Path,
        *,
        calendar: BusinessCalendar | None = None,
        sync_delay_us: int = 0,
        pages_max: int | None = None,
    ) -> None:
        """Open ``path``, made if it is not there; ``pages_max`` bounds its size (for tests).

        Raises ``InputError`` for a file of another program or of a newer version, and
        ``StoreTroubleError`` where the disk does not let it be used.
        """
        super().__init__(calendar=calendar, sync_delay_us=sync_delay_us)
        self._path = path
        self._readers: list[sqlite3.Connection] = []
        self._own = threading.local()
        """Each thread's own reader: a long look holds nobody up."""
        self._others_count = False
        """Another program has written to the file since it was opened."""
        try:
            self._writer = self._connect()
        except sqlite3.Error as error:
            raise trouble(error) from error
        try:
            self._check_version()
            self._writer.execute("PRAGMA journal_mode = WAL")
            if pages_max is not None:
                self._writer.execute(f"PRAGMA max_page_count = {pages_max}")
            self._make()
            self._data_version = self._seen_version()
            self._kept(self._load)
        except sqlite3.Error as error:
            self.close()
            raise trouble(error) from error
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=_BUSY_MS / 1_000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -32768")
        return connection

    def _check_version(self) -> None:
        application = self._writer.execute("PRAGMA application_id").fetchone()[0]
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        foreign = self._writer.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        name = self._path.name
        if application != tables.APPLICATION_ID and (application or foreign):
            raise InputError([Problem(code="VPG1801", values={"file": name})])
        if version > tables.VERSION:
            values = {"file": name, "version": version, "known": tables.VERSION}
            raise InputError([Problem(code="VPG1802", values=values)])

    def _make(self) -> None:
        if self._writer.execute("PRAGMA user_version").fetchone()[0]:
            return
        self._writer.execute("BEGIN IMMEDIATE")
        for name, columns in tables.TABLES.items():
            kind = "STRICT, WITHOUT ROWID" if name in tables.WITHOUT_ROWID else "STRICT"
            self._writer.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) {kind}")
        for sql in tables.INDEXES:
            self._writer.execute(sql)
        for name, rows in tables.NAMES.items():
            self._writer.executemany(tables.PUT_NAME[name], rows)
        self._writer.execute(tables.FIRST_MEMORY)
        self._writer.execute(f"PRAGMA application_id = {tables.APPLICATION_ID}")
        self._writer.execute(f"PRAGMA user_version = {tables.VERSION}")
        self._writer.execute("COMMIT")

    # ---- what ``SqlStore`` asks ----------------------------------------------------------------

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._writer.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise trouble(error) from error

    def _many(self, sql: str, rows: Iterable[Row]) -> None:
        try:
            self._writer.executemany(sql, rows)
        except sqlite3.Error as error:
            raise trouble(error) from error

    def _seen_version(self) -> int:
        return int(self._writer.execute("PRAGMA data_version").fetchone()[0])

    def _begin(self, *, changes: bool) -> bool:
        del changes  # One writer at a time in any case.
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            version = self._seen_version()
        except sqlite3.Error as error:
            raise trouble(error) from error
        others, self._data_version = version != self._data_version, version
        self._others_count = self._others_count or others
        return others and int(self._query(tables.MEMORY)[0][0]) != self._memory

    def _commit(self) -> None:
        if self.sync_delay_us:
            time.sleep(self.sync_delay_us / 1_000_000)
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            raise trouble(error) from error

    def _rollback(self) -> None:
        with suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _insert(self, facts: Sequence[Fact]) -> set[int] | None:
        before = self._writer.total_changes
        try:
            self._writer.executemany(tables.INSERT_EVENT, facts)
        except sqlite3.IntegrityError:
            # Those before the first that was there already are in.
            return self._insert_rest(facts, self._writer.total_changes - before)
        except sqlite3.Error as error:
            raise trouble(error) from error
        return None

    def _insert_rest(self, facts: Sequence[Fact], done: int) -> set[int]:
        new = set(range(done))
        sql = f"{tables.INSERT_EVENT} ON CONFLICT DO NOTHING"
        try:
            for place in range(done, len(facts)):
                if self._writer.execute(sql, facts[place]).rowcount:
                    new.add(place)
        except sqlite3.Error as error:
            raise trouble(error) from error
        return new

    def _new_source(self, name: tuple[str, str]) -> int:
        found = self._query("SELECT coalesce(max(source_no), 0) + 1 FROM source")
        self._query("INSERT INTO source VALUES (?, ?, ?)", (found[0][0], *name))
        return int(found[0][0])

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._told("BEGIN")
        try:
            yield
        finally:
            self._told("ROLLBACK")

    def _told(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._reader().execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise trouble(error) from error

    def _reader(self) -> sqlite3.Connection:
        reader: sqlite3.Connection | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = self._connect()
            self._readers.append(reader)
            reader.execute("PRAGMA query_only = 1")
        return reader

    def _counted_since(self, vpg_no: int, at_us: int) -> bool:
        return self._others_count or self._newest_us.get(vpg_no, -1) >= at_us

    def close(self) -> None:
        """Close the file."""
        for connection in (*self._readers, self._writer):
            with suppress(sqlite3.Error):
                connection.close()
