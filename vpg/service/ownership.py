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

_LOCK_NUMBER: Final = 0x76_70_67_73_69_6D
"""Number of the advisory lock in the store's database."""


class Claim(Protocol):
    """Being the gateway of a store."""

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

    def release(self) -> None:
        """Unlock; the file stays, for its removal would race with the next claim."""
        self._file.close()


class DatabaseClaim:
    """An advisory lock in the store's database, on a connection of its own."""

    def __init__(self, connection: _Connection) -> None:
        """Hold ``connection``, which has the lock."""
        self._connection = connection

    @staticmethod
    def made(url: str) -> DatabaseClaim | None:
        """Lock; None: another process has it."""
        import psycopg  # noqa: PLC0415 - the extra postgres, which SQLite does not need

        try:
            connection = psycopg.connect(url, autocommit=True, connect_timeout=5)
            try:
                found = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK_NUMBER,))
                row = found.fetchone()
            except BaseException:
                connection.close()
                raise
        except psycopg.Error as failure:
            reason = " ".join(str(failure).split())[:200]
            raise StoreTroubleError(reason) from failure
        if row is not None and row[0]:
            return DatabaseClaim(connection)
        connection.close()
        return None

    def release(self) -> None:
        """Unlock by closing the connection."""
        self._connection.close()


class _Connection(Protocol):
    def close(self) -> None: ...
