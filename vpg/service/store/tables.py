"""The tables of the store, in SQL that SQLite and PostgreSQL share.

Owns: names, keys and versions of the tables, and every statement both stores run. Does not own:
connections (``sqlite.py``, ``postgres.py``) or what is written (``sql.py``). Times are µs, UTC.

``event`` holds every counted usage event by its name (source, id): the lock against counting twice
and the audit log in one, from which all sums can be made anew. The sums are narrow rows, so that
several writers can add to them without reading.
"""

from __future__ import annotations

from typing import Final

from vpg.rating.counting import KINDS, PEAKS, SUMS

APPLICATION_ID: Final = 0x56504721
"""SQLite's ``application_id`` of our files."""
VERSION: Final = 1
"""SQLite's ``user_version``: a file of a newer version is left alone."""

FACT_COLUMNS: Final = (
    ("arrived_us", "INTEGER NOT NULL"),
    ("kind", "INTEGER NOT NULL"),
    ("vpg_no", "INTEGER NOT NULL"),
    ("at_us", "INTEGER NOT NULL"),
    ("subject", "TEXT NOT NULL"),
    ("requests", "INTEGER NOT NULL"),
    ("figure_1", "INTEGER NOT NULL"),
    ("figure_2", "INTEGER NOT NULL"),
    ("flagged", "INTEGER NOT NULL"),
    ("per_s", "INTEGER NOT NULL"),
    ("delay_us", "INTEGER"),
    ("more", "TEXT"),
)
"""A fact's own order (``vpg.rating.counting.Fact``)."""
FACT: Final = ", ".join(name for name, _ in FACT_COLUMNS)

_ROW = (
    "vpg_no INTEGER NOT NULL, hour_us INTEGER NOT NULL, seq INTEGER NOT NULL, late INTEGER NOT NULL"
)
TABLES: Final = (
    ("setting", "name TEXT PRIMARY KEY, value TEXT NOT NULL"),
    ("kind", "kind INTEGER PRIMARY KEY, type TEXT, service TEXT, outcome TEXT"),
    ("figure_name", "name INTEGER PRIMARY KEY, text TEXT NOT NULL"),
    ("peak_name", "name INTEGER PRIMARY KEY, text TEXT NOT NULL"),
    ("source", "source_no INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE"),
    (
        "vpg",
        "vpg_no INTEGER PRIMARY KEY, vpg_id TEXT NOT NULL UNIQUE, operator_id TEXT NOT NULL,"
        " body TEXT NOT NULL",
    ),
    (
        "line",
        "sim_id TEXT PRIMARY KEY, status TEXT NOT NULL, changed_us INTEGER NOT NULL,"
        " body TEXT NOT NULL",
    ),
    (
        "event",
        "source_no INTEGER NOT NULL, id TEXT NOT NULL, "
        + ", ".join(f"{name} {kind}" for name, kind in FACT_COLUMNS)
        + ", PRIMARY KEY (source_no, id)",
    ),
    (
        "figure",
        f"{_ROW}, name INTEGER NOT NULL, amount INTEGER NOT NULL,"
        " PRIMARY KEY (vpg_no, hour_us, seq, late, name)",
    ),
    (
        "peak",
        f"{_ROW}, name INTEGER NOT NULL, amount INTEGER NOT NULL,"
        " PRIMARY KEY (vpg_no, hour_us, seq, late, name)",
    ),
    (
        "delay",
        f"{_ROW}, bucket INTEGER NOT NULL, amount INTEGER NOT NULL,"
        " PRIMARY KEY (vpg_no, hour_us, seq, late, bucket)",
    ),
    (
        "inspected",
        "vpg_no INTEGER NOT NULL, hour_us INTEGER NOT NULL, late INTEGER NOT NULL,"
        " line TEXT NOT NULL, seq INTEGER NOT NULL,"
        " PRIMARY KEY (vpg_no, hour_us, late, line)",
    ),
    (
        "config",
        "vpg_no INTEGER NOT NULL, place INTEGER NOT NULL, at_us INTEGER NOT NULL,"
        " late INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (vpg_no, place)",
    ),
    (
        "session",
        "sim_id TEXT PRIMARY KEY, vpg_no INTEGER NOT NULL, created_us INTEGER NOT NULL,"
        " at_us INTEGER NOT NULL, ghost INTEGER NOT NULL, live INTEGER NOT NULL",
    ),
)
NAMES: Final[dict[str, list[tuple[object, ...]]]] = {
    "kind": [(number, *kind) for number, kind in enumerate(KINDS)],
    "figure_name": list(enumerate(SUMS)),
    "peak_name": list(enumerate(PEAKS)),
}
"""What the numbers of this version mean, kept in the file for whoever reads it without us."""

_MARKS = ", ".join("?" * (2 + len(FACT_COLUMNS)))
INSERT_EVENT: Final = f"INSERT INTO event VALUES ({_MARKS})"  # noqa: S608 - names of our own
ADD_FIGURE: Final = (
    "INSERT INTO figure VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (vpg_no, hour_us, seq, late, name)"
    " DO UPDATE SET amount = figure.amount + excluded.amount"
)
ADD_DELAY: Final = (
    "INSERT INTO delay VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (vpg_no, hour_us, seq, late, bucket)"
    " DO UPDATE SET amount = delay.amount + excluded.amount"
)
RAISE_PEAK: Final = (
    "INSERT INTO peak VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (vpg_no, hour_us, seq, late, name)"
    " DO UPDATE SET amount = excluded.amount WHERE excluded.amount > peak.amount"
)
SEE_LINE: Final = (
    "INSERT INTO inspected VALUES (?, ?, ?, ?, ?) ON CONFLICT (vpg_no, hour_us, late, line)"
    " DO UPDATE SET seq = excluded.seq WHERE excluded.seq < inspected.seq"
)
SESSION_CREATED: Final = (
    "INSERT INTO session VALUES (?, ?, ?, ?, 0, 1) ON CONFLICT (sim_id) DO UPDATE SET"
    " vpg_no = excluded.vpg_no, created_us = excluded.created_us, at_us = excluded.at_us,"
    " ghost = 0, live = 1 WHERE excluded.at_us >= session.at_us"
)
SESSION_DELETED: Final = (
    "INSERT INTO session VALUES (?, ?, 0, ?, 0, 0) ON CONFLICT (sim_id) DO UPDATE SET"
    " at_us = excluded.at_us, ghost = 0, live = 0 WHERE excluded.at_us >= session.at_us"
)
SESSION_GHOST: Final = (
    "UPDATE session SET at_us = ?, ghost = 1 WHERE sim_id = ? AND live = 1 AND at_us <= ?"
)
SET_SETTING: Final = (
    "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
PUT_VPG: Final = (
    "INSERT INTO vpg VALUES (?, ?, ?, ?) ON CONFLICT (vpg_id) DO UPDATE SET body = excluded.body"
)
PUT_LINE: Final = (
    "INSERT INTO line VALUES (?, ?, ?, ?) ON CONFLICT (sim_id) DO UPDATE SET"
    " status = excluded.status, changed_us = excluded.changed_us, body = excluded.body"
)
