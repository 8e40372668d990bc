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

_EVENT: Final = """
source_no INTEGER NOT NULL, id TEXT NOT NULL, arrived_us INTEGER NOT NULL, kind INTEGER NOT NULL,
vpg_no INTEGER NOT NULL, at_us INTEGER NOT NULL, subject TEXT NOT NULL, requests INTEGER NOT NULL,
figure_1 INTEGER NOT NULL, figure_2 INTEGER NOT NULL, flagged INTEGER NOT NULL,
per_s INTEGER NOT NULL, delay_us INTEGER, more TEXT, PRIMARY KEY (source_no, id)
"""
"""The order of ``vpg.rating.counting.Fact``."""
_AMOUNT: Final = """
vpg_no INTEGER NOT NULL, hour_us INTEGER NOT NULL, seq INTEGER NOT NULL, late INTEGER NOT NULL,
name INTEGER NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (vpg_no, hour_us, seq, late, name)
"""
_INSPECTED: Final = """
vpg_no INTEGER NOT NULL, hour_us INTEGER NOT NULL, late INTEGER NOT NULL, line TEXT NOT NULL,
seq INTEGER NOT NULL, PRIMARY KEY (vpg_no, hour_us, late, line)
"""
_CONFIG: Final = """
vpg_no INTEGER NOT NULL, place INTEGER NOT NULL, at_us INTEGER NOT NULL, late INTEGER NOT NULL,
body TEXT NOT NULL, PRIMARY KEY (vpg_no, place)
"""
_SESSION: Final = """
sim_id TEXT PRIMARY KEY, vpg_no INTEGER NOT NULL, created_us INTEGER NOT NULL,
at_us INTEGER NOT NULL, ghost INTEGER NOT NULL, live INTEGER NOT NULL
"""
_VPG: Final = """
vpg_no INTEGER PRIMARY KEY, vpg_id TEXT NOT NULL UNIQUE, operator_id TEXT NOT NULL,
body TEXT NOT NULL
"""
_LINE: Final = """
sim_id TEXT PRIMARY KEY, status TEXT NOT NULL, changed_us INTEGER NOT NULL, body TEXT NOT NULL
"""
_KIND: Final = "kind INTEGER PRIMARY KEY, type TEXT, service TEXT, outcome TEXT"
_NAME: Final = "name INTEGER PRIMARY KEY, text TEXT NOT NULL"
TABLES: Final[dict[str, str]] = {
    "setting": "name TEXT PRIMARY KEY, value TEXT NOT NULL",
    "kind": _KIND,
    "figure_name": _NAME,
    "peak_name": _NAME,
    "source": "source_no INTEGER PRIMARY KEY, operator_id TEXT NOT NULL, source TEXT NOT NULL,"
    " UNIQUE (operator_id, source)",
    "vpg": _VPG,
    "line": _LINE,
    "event": _EVENT,
    "figure": _AMOUNT,
    "peak": _AMOUNT,
    "delay": _AMOUNT,
    "inspected": _INSPECTED,
    "config": _CONFIG,
    "session": _SESSION,
}
"""Name → columns. ``name`` of ``delay`` is the histogram's bucket."""
WITHOUT_ROWID: Final = frozenset(
    {"event", "figure", "peak", "delay", "inspected", "config", "session", "line"}
)
"""Small rows found by their key alone: SQLite keeps them in the key's own tree."""
INDEXES: Final = (
    "CREATE INDEX IF NOT EXISTS figure_late ON figure (late, hour_us) WHERE late > 0",
    "CREATE INDEX IF NOT EXISTS inspected_late ON inspected (late, hour_us) WHERE late > 0",
)
"""What came late is found by its period; what came in time, nearly all, is not in them."""
NAMES: Final[dict[str, list[tuple[object, ...]]]] = {
    "kind": [(number, *kind) for number, kind in enumerate(KINDS)],
    "figure_name": list(enumerate(SUMS)),
    "peak_name": list(enumerate(PEAKS)),
}
"""What the numbers of this version mean, kept in the file for whoever reads it without us."""
PUT_NAME: Final = {
    "kind": "INSERT INTO kind VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    "figure_name": "INSERT INTO figure_name VALUES (?, ?) ON CONFLICT DO NOTHING",
    "peak_name": "INSERT INTO peak_name VALUES (?, ?) ON CONFLICT DO NOTHING",
}

# ---- a group -------------------------------------------------------------------------------------

INSERT_EVENT: Final = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_FIGURE: Final = (
    "INSERT INTO figure VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (vpg_no, hour_us, seq, late, name)"
    " DO UPDATE SET amount = figure.amount + excluded.amount"
)
ADD_DELAY: Final = (
    "INSERT INTO delay VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (vpg_no, hour_us, seq, late, name)"
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
ADD_CONFIG: Final = "INSERT INTO config VALUES (?, ?, ?, ?, ?)"
CLEAR_HOURS: Final = tuple(
    f"DELETE FROM {table} WHERE vpg_no = ? AND hour_us >= ?"  # noqa: S608 - names of our own
    for table in ("figure", "peak", "delay", "inspected")
)
EVENTS_FROM: Final = "SELECT * FROM event WHERE vpg_no = ? AND at_us >= ?"
FIND_SOURCE: Final = "SELECT source_no FROM source WHERE operator_id = ? AND source = ?"
KEPT: Final = "SELECT * FROM event WHERE source_no = ? AND id IN ({marks})"

# ---- settings, VPGs, lines, sessions -------------------------------------------------------------

SET_SETTING: Final = (
    "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
MEMORY: Final = "SELECT value FROM setting WHERE name = 'memory'"
FIRST_MEMORY: Final = "INSERT INTO setting VALUES ('memory', '0') ON CONFLICT DO NOTHING"
PUT_VPG: Final = (
    "INSERT INTO vpg VALUES (?, ?, ?, ?) ON CONFLICT (vpg_id) DO UPDATE SET body = excluded.body"
)
PUT_LINE: Final = (
    "INSERT INTO line VALUES (?, ?, ?, ?) ON CONFLICT (sim_id) DO UPDATE SET"
    " status = excluded.status, changed_us = excluded.changed_us, body = excluded.body"
)
CHANGE_LINE: Final = "UPDATE line SET status = ?, changed_us = ? WHERE sim_id = ?"
LIVE_SESSIONS: Final = (
    "SELECT sim_id, vpg_id, created_us, ghost FROM session JOIN vpg USING (vpg_no)"
    " WHERE live = 1 ORDER BY sim_id"
)

# ---- hours ---------------------------------------------------------------------------------------

_SPAN = "WHERE vpg_no = ? AND hour_us >= ? AND hour_us < ? AND late <= ?"
SUMS_BEFORE: Final = (
    "SELECT name, sum(amount) FROM figure WHERE vpg_no = ? AND hour_us < ? AND late <= ?"
    " GROUP BY name"
)
SUMS_OF: Final = (
    f"SELECT hour_us, seq, name, sum(amount) FROM figure {_SPAN}"  # noqa: S608 - our own words
    " GROUP BY hour_us, seq, name"
)
PEAKS_OF: Final = (
    f"SELECT hour_us, seq, name, max(amount) FROM peak {_SPAN}"  # noqa: S608 - our own words
    " GROUP BY hour_us, seq, name"
)
DELAYS_OF: Final = (
    f"SELECT hour_us, seq, name, sum(amount) FROM delay {_SPAN}"  # noqa: S608 - our own words
    " GROUP BY hour_us, seq, name"
)
LINES_OF: Final = (
    "SELECT hour_us, seq, count(*) FROM (SELECT hour_us, line, min(seq) AS seq"  # noqa: S608
    f" FROM inspected {_SPAN} GROUP BY hour_us, line) AS first GROUP BY hour_us, seq"
)
LATE_HOURS: Final = (
    "SELECT DISTINCT hour_us FROM figure WHERE late = ?"
    " UNION SELECT DISTINCT hour_us FROM inspected WHERE late = ?"
)

# ---- keys ----------------------------------------------------------------------------------------

NEXT_EVENTS: Final = (
    "SELECT * FROM event WHERE (source_no, id) > (?, ?) ORDER BY source_no, id LIMIT ?"
)
FORGET_EVENT: Final = "DELETE FROM event WHERE source_no = ? AND id = ?"
OLDEST_INSPECTED: Final = "SELECT min(hour_us) FROM inspected WHERE vpg_no = ?"
INSPECTED_IN: Final = (
    "SELECT late, line, seq FROM inspected WHERE vpg_no = ? AND hour_us = ? ORDER BY line, late"
)
FORGET_INSPECTED: Final = "DELETE FROM inspected WHERE vpg_no = ? AND hour_us = ?"
