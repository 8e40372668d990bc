"""Whose a store is: at most one process at a time is the gateway of its VPGs.

Owns: the claim, which ends with the process however that ends. Does not own: the store. Limiters
and sessions live in memory: two gateways of one VPG would each admit its whole limit. Processes
that only count usage events need no claim; behind PostgreSQL there may be any number of them.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from vpg.service.ports import StoreTroubleError

if TYPE_CHECKING:
    from typing import IO

    import psycopg

_LOCK_NUMBER: Final = 0x76_70_67_73_69_6D
"""Number of the advisory lock in the store's database."""


class Claim(Protocol):
    """Being the gateway of a store."""

    def keep(self) -> bool:
        """Return whether the claim still holds; may block."""

    def release(self) -> None:
        """Let somebody else be it."""


def is_database(store: str) -> bool:
    """Return whether ``store`` is the URL of a PostgreSQL and no path."""
    return store.startswith(("postgresql://", "postgres://"))


def claim(store: str) -> Claim | None:
    """Claim ``store`` (path or URL); None: another process has it.

    Raises ``StoreTroubleError`` where it cannot be asked.
    """
    return DatabaseClaim.made(store) if is_database(store) else FileClaim.made(Path(store))


class FileClaim:
    """A lock on a file beside the store's."""

    def __init__(self, file: IO[str]) -> None:
        """Hold ``file``, which is locked."""
        self._file = file

    @staticmethod
    def made(store: Path) -> FileClaim | None:
        """Lock; None: another process has it."""
        if store.is_dir():
            raise StoreTroubleError(f"{store} is a folder")
        beside = store.with_name(f"{store.name}.lock")
        try:
            file = beside.open("a", encoding="utf-8")
        except OSError as failure:
            raise StoreTroubleError(f"{beside.name}: {failure.strerror or failure}") from failure
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as failure:
            file.close()
            raise StoreTroubleError(f"{beside.name}: {failure.strerror or failure}") from failure
        return FileClaim(file)

    def keep(self) -> bool:
        """Return True: nothing takes a lock from a process that lives."""
        return self._file.closed is False

    def release(self) -> None:
        """Unlock; the file stays, for its removal would race with the next claim."""
        self._file.close()


class DatabaseClaim:
    """An advisory lock in the store's database, on a connection of its own."""

    def __init__(self, url: str) -> None:
        """Claim nothing yet."""
        self._url = url
        self._connection: psycopg.Connection[object] | None = None

    @staticmethod
    def made(url: str) -> DatabaseClaim | None:
        """Lock; None: another process has it."""
        import psycopg  # noqa: PLC0415 - the extra postgres, which SQLite does not need

        made = DatabaseClaim(url)
        try:
            return made if made._lock() else None
        except psycopg.Error as failure:
            reason = " ".join(str(failure).split())[:200]
            raise StoreTroubleError(reason) from failure

    def _lock(self) -> bool:
        import psycopg  # noqa: PLC0415 - as above

        connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
        try:
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK_NUMBER,)).fetchone()
        except BaseException:
            connection.close()
            raise
        if row is None or not row[0]:
            connection.close()
            return False
        self._connection = connection
        return True

    def keep(self) -> bool:
        """Lock anew where the connection broke; return whether the lock is still ours."""
        import psycopg  # noqa: PLC0415 - as above

        try:
            if self._connection is not None:
                self._connection.execute("SELECT 1")
                return True
        except psycopg.Error:
            self.release()
        try:
            return self._lock()
        except psycopg.Error:
            return True  # nobody else can be asked either

    def release(self) -> None:
        """Unlock by closing the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
