"""The reference workload: work that no revision changes, timed beside the rounds.

Owns: the work. It is part of the recording's meaning: change it, and every stored baseline is of
another schema (``values.SCHEMA``). Standard library and SQLite only: JSON, a hash, a loopback
socket, rows with their commits, in about the shares of a service that counts events.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sqlite3
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

TIMES: Final = 40
_GROUP: Final = 32
_EVENT: Final = json.dumps(
    {"id": "000000000001", "source": "urn:reference", "data": {"bytesUp": 120, "service": "beam"}}
).encode()


class Reference:
    """The work, ready to be done again and again; a file of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        """Make the file."""
        self._database = sqlite3.connect(folder / "reference.sqlite", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, hash)")
        self._left, self._right = socket.socketpair()

    def work(self) -> tuple[float, float]:
        """Return (µs of processor time, µs of the wall) of one piece of work."""
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        for _ in range(TIMES):
            self._group()
        cpu_us = (time.process_time_ns() - cpu_ns) / 1_000
        return cpu_us, (time.perf_counter_ns() - wall_ns) / 1_000

    def _group(self) -> None:
        rows = []
        for _ in range(_GROUP):
            self._left.sendall(_EVENT)
            found = json.loads(self._right.recv(4_096))
            found["data"]["bytesUp"] += 1
            rows.append((hashlib.sha256(json.dumps(found).encode()).digest(),))
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO event (hash) VALUES (?)", rows)
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close file and sockets."""
        self._database.close()
        self._left.close()
        self._right.close()
