"""Disk trouble of every kind: a clear reason, nothing half counted, and on once it is over."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.support_service_store import (
    T0,
    configured,
    opened,
    request,
    sums_anew,
    sums_kept,
    told,
)
from vpg.rating.events import Config, UsageEvent
from vpg.service.ports import COUNTED, StoreTroubleError
from vpg.service.store.sqlite import SqliteStore, trouble
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = T0 + HOUR_US


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = opened(tmp_path / "s.db", "v0", "v1")
    yield store
    store.close()


class Failing:
    """A connection that fails at its k-th statement, as SQLite itself would."""

    def __init__(self, real: sqlite3.Connection, fail_at: int) -> None:
        self._real = real
        self.left = fail_at

    def _count(self, sql: str) -> None:
        self.left -= 1
        if self.left == 0 and not sql.startswith("ROLLBACK"):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        self._count(sql)
        return self._real.execute(sql, values)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        self._count(sql)
        return self._real.executemany(sql, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def everything(store: SqliteStore) -> tuple[Any, ...]:
    """Return all that is kept, in memory and in the file."""
    tables = ("event", "config", "session", "source", "vpg", "line", "setting")
    found = {name: store._told(f"SELECT * FROM {name}") for name in tables}  # noqa: S608
    memory = (store.lives(), sorted(store._lines), sorted(store._resized.items()))
    return found, sums_kept(store), memory


def mixed() -> list[UsageEvent]:
    """Return a group that touches every table: new and old events, sessions, a late-told resize."""
    return [
        request("old", T0 + 1),
        request("new", T0 + 2, inspected=("1", "2"), ratePerS=7, delayUs=5, source="urn:other"),
        told("session.created.v1", "c", T0 + 3, subject="1", sessions=1),
        configured("r", T0 + 1, Config(size="small", resized=True)),
        told("session.modified.v1", "g", T0 + 4, subject="1", ghost=True, ghosts=1),
    ]


def attempt(store: SqliteStore, events: list[UsageEvent]) -> tuple[list[int], str]:
    """Return the answers, or why there are none."""
    try:
        return store.commit(events, NOW), ""
    except StoreTroubleError as error:
        return [], str(error)


def test_failing_at_every_single_operation_keeps_all_or_nothing(store: SqliteStore) -> None:
    store.commit([request("old", T0 + 1)], NOW)
    before = everything(store)
    real, failures = store._writer, 0
    for fail_at in range(1, 200):
        store._writer = Failing(real, fail_at)  # type: ignore[assignment]
        answers, reason = attempt(store, mixed())
        store._writer = real
        if answers:
            break
        failures += 1
        assert reason == "the disk reports an error"
        assert everything(store) == before
    assert failures > 15
    assert answers == [COUNTED] * 5
    assert [row.accepted_beam for row in store.hourly(["v0"], T0, NOW, NOW).rows] == [0, 2]
    assert sums_kept(store) == sums_anew(store)
    assert store.commit(mixed(), NOW) == [COUNTED] * 5
    assert [row.accepted_beam for row in store.hourly(["v0"], T0, NOW, NOW).rows] == [0, 2]


def test_a_full_disk(tmp_path: Path) -> None:
    store = opened(tmp_path / "s.db", "v0")
    store._writer.execute("PRAGMA max_page_count = 60")
    counted, reason = 0, ""
    while not reason:
        answers, reason = attempt(store, [request(f"{counted:06}-{n}", T0 + n) for n in range(50)])
        counted += len(answers)
    assert reason == "the disk is full"
    assert counted > 0
    assert store.hourly(None, T0, NOW, NOW).rows[0].accepted_beam == counted
    with pytest.raises(StoreTroubleError, match="the disk is full"):
        store.commit([request(f"more-{n}", T0 + n) for n in range(500)], NOW)
    store._writer.execute("PRAGMA max_page_count = 100000")
    store.commit([request(f"more-{n}", T0 + n) for n in range(500)], NOW)
    assert store.hourly(None, T0, NOW, NOW).rows[0].accepted_beam == counted + 500
    assert sums_kept(store) == sums_anew(store)
    store.close()


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    with pytest.raises(StoreTroubleError, match="the disk is full"):
        SqliteStore(tmp_path / "s.db", pages_max=4)


def test_a_read_only_file(store: SqliteStore) -> None:
    store._writer.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreTroubleError, match="read-only"):
        store.commit([request("a", T0)], NOW)
    with pytest.raises(StoreTroubleError, match="read-only"):
        store.ping()
    assert store.hourly(None, T0, NOW, NOW).rows[0].accepted_beam == 0
    store._writer.execute("PRAGMA query_only = 0")
    store.ping()
    assert store.commit([request("a", T0)], NOW) == [COUNTED]


def test_a_locked_file(store: SqliteStore, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreTroubleError, match="another program holds the file locked"):
        store.commit([request("a", T0)], NOW)
    assert len(store.hourly(None, T0, NOW, NOW).rows) == 2, "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    assert store.commit([request("a", T0)], NOW) == [COUNTED]


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = opened(path, "v0")
    store.commit([request(f"{n:05}", T0 + n) for n in range(5_000)], NOW)
    store.close()
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4_096):
        content[page * 4_096 : page * 4_096 + 200] = b"\xff" * 200
    path.write_bytes(content)
    with pytest.raises(StoreTroubleError, match="damaged"):
        use(path)


def use(path: Path) -> None:
    store = SqliteStore(path)
    try:
        store.commit([request(f"{n:05}", T0 + n) for n in range(5_000)], NOW)
    finally:
        store.close()


def test_every_reason_is_short_and_names_no_path() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    assert str(trouble(error)) == "the disk reports an error"
    assert str(trouble(sqlite3.OperationalError("something new"))) == "something new"
