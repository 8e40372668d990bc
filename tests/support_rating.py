"""Instants, rows and catalogues that the tests of money and of the run directory share."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError, Problem
from vpg.rating.hourly import HourlyRow
from vpg.text import LANGS, render
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.catalogue.model import Catalogue

APRIL_2026_US = 1_775_001_600_000_000
"""2026-04-01 00:00 UTC = 09:00 JST: a rating month begins."""


def utc_us(*parts: int) -> int:
    """Return the instant of year, month, day, … in UTC."""
    moment = dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def hour_row(hour: int = 0, **cells: Any) -> HourlyRow:
    """Return the row of a C Small that did nothing in the ``hour``-th hour of April 2026."""
    standard: dict[str, Any] = {
        "vpg_id": "vpg-1",
        "hour_start_us": APRIL_2026_US + hour * HOUR_US,
        "config_seq": 0,
        "vpg_exists": 1,
        "type": "C",
        "size": "small",
    }
    return HourlyRow(**(standard | cells))


def table_file(folder: Path, text: str, name: str = "mine.toml") -> Path:
    """Write ``text`` as a user's table and return its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def with_table(folder: Path, text: str) -> Catalogue:
    """Return the shipped catalogue extended by a user's table of ``text``."""
    return load_catalogue([table_file(folder, text)])


def problems_of(folder: Path, text: str | bytes) -> list[Problem]:
    """Return what is wrong with a user's table, after checking that every text can be shown."""
    path = folder / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        load_catalogue([path])
    except InputError as error:
        for problem in error.problems:
            for lang in LANGS:
                render(problem, lang)
        return error.problems
    return []


def spots(problems: list[Problem]) -> list[tuple[str, int, int]]:
    """Return (code, line, column) of each problem."""
    return [(p.code, p.place.line, p.place.column) for p in problems if p.place]
