"""The rating service as most would write it: FastAPI, SQLite with FULL sync, Decimal, no groups.

A request is one transaction: the key, the hour's counts and its yen. Run by uvicorn with uvloop and
httptools, so that only what is written here differs. ``BENCH_STORE`` names the database.
"""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from decimal import Decimal
from typing import Literal

from fastapi import FastAPI, Response
from pydantic import BaseModel

PRICE_YEN = Decimal("0.0009")
SCHEMA = """
CREATE TABLE IF NOT EXISTS event (source TEXT, id TEXT, at TEXT, line TEXT, body TEXT,
  PRIMARY KEY (source, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hourly (vpg TEXT, hour TEXT, service TEXT, outcome TEXT,
  requests INTEGER, bytes_up INTEGER, bytes_down INTEGER, yen TEXT,
  PRIMARY KEY (vpg, hour, service, outcome)) WITHOUT ROWID;
"""
INSERT = "INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?)"
FIND = "SELECT requests, bytes_up, bytes_down, yen FROM hourly WHERE (vpg, hour, service, outcome) = (?, ?, ?, ?)"  # noqa: E501
KEEP = "INSERT OR REPLACE INTO hourly VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class Data(BaseModel):
    """The figures of an event."""

    operatorId: str  # noqa: N815 - the wire's names
    vpgId: str  # noqa: N815
    service: Literal["beam", "funnel", "funk", "ip"]
    outcome: Literal["accepted", "throttled", "no_session", "failed_upstream"]
    requests: int = 1
    bytesUp: int = 0  # noqa: N815
    bytesDown: int = 0  # noqa: N815


class Event(BaseModel):
    """A usage event."""

    specversion: Literal["1.0"]
    type: str
    source: str
    id: str
    time: dt.datetime
    subject: str = ""
    data: Data


app = FastAPI()
database = sqlite3.connect(os.environ.get("BENCH_STORE", ":memory:"), isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA synchronous = FULL")
database.executescript(SCHEMA)


def count(event: Event) -> None:
    """Count one event unless it is known."""
    data = event.data
    key = (event.source, event.id, event.time.isoformat(), event.subject, data.model_dump_json())
    if not database.execute(INSERT, key).rowcount:
        return
    hour = event.time.strftime("%Y-%m-%dT%H")
    where = (data.vpgId, hour, data.service, data.outcome)
    requests, up, down, yen = database.execute(FIND, where).fetchone() or (0, 0, 0, "0")
    total = Decimal(yen) + PRICE_YEN * data.requests
    row = (requests + data.requests, up + data.bytesUp, down + data.bytesDown, str(total))
    database.execute(KEEP, (*where, *row))


@app.post("/v1/usage-events", status_code=204)
async def one(event: Event) -> Response:
    """Count one event in a transaction of its own."""
    database.execute("BEGIN IMMEDIATE")
    count(event)
    database.execute("COMMIT")
    return Response(status_code=204)


@app.post("/v1/batches", status_code=204)
async def batch(events: list[Event]) -> Response:
    """Count a batch in one transaction."""
    database.execute("BEGIN IMMEDIATE")
    for event in events:
        count(event)
    database.execute("COMMIT")
    return Response(status_code=204)
