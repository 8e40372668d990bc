"""SQLite in process: the same rows as the service's store in groups of one size, nothing else.

``python -m tests.bench.sqlite_alone FILE LIKE GROUP SECONDS`` prints rows a second. The table and
the columns are those of LIKE, a store of the service that holds rows.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import time
from pathlib import Path


def rate(file: Path, like: Path, group: int, seconds: float) -> float:
    """Return rows a second of ``executemany`` in groups, each with a full sync."""
    with contextlib.closing(sqlite3.connect(like)) as model:
        (create,) = model.execute("SELECT sql FROM sqlite_master WHERE name = 'event'").fetchone()
        template = list(model.execute("SELECT * FROM event LIMIT 1").fetchone())
        names = [column[1] for column in model.execute("PRAGMA table_info(event)")]
    place = names.index("id")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(create)
        insert = f"INSERT INTO event VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our names
        done = 0
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            rows = []
            for number in range(done, done + group):
                template[place] = f"b0-{number:09d}"
                rows.append(tuple(template))
            database.execute("BEGIN IMMEDIATE")
            database.executemany(insert, rows)
            database.execute("COMMIT")
            done += group
        return done / (time.perf_counter() - begin)


def main(file: str, like: str, group: str, seconds: str) -> None:
    """Print rows a second."""
    sys.stdout.write(f"{rate(Path(file), Path(like), int(group), float(seconds))}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
