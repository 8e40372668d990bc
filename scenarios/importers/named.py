"""Rows of a CSV whose columns are found by the names in its header (the provider's own exports).

Owns: the header check (missing, doubled, misspelt columns) and the columns that only go along
(tags, group).
"""

from __future__ import annotations

import datetime as dt
import difflib
from typing import TYPE_CHECKING

from scenarios.importers.portal import open_tally, take
from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scenarios.importers.options import ImportOptions
    from scenarios.importers.tally import Tally
    from vpg.csvfile import Record

_ORDINAL_BITS = 22
"""date.max is day 3,652,059."""
_SIM_BITS = 32


class SeenRows:
    """Which (SIM, day, kind) had a row, in about 70 bytes each: a file may have millions."""

    def __init__(self) -> None:
        self._sims: dict[str, int] = {}
        self._kinds: dict[str, int] = {}
        self._rows: set[int] = set()
        self._days: set[int] = set()

    def add(self, imsi: str, day: dt.date, kind: str) -> bool:
        """Note a row; return False when it was there already."""
        sim = self._sims.setdefault(imsi, len(self._sims))
        number = self._kinds.setdefault(kind, len(self._kinds))
        ordinal = day.toordinal()
        key = ((number << _SIM_BITS) | sim) << _ORDINAL_BITS | ordinal
        if key in self._rows:
            return False
        self._rows.add(key)
        self._days.add(ordinal)
        return True

    def first_and_last(self) -> tuple[dt.date, dt.date]:
        """Return the first and the last day seen."""
        return dt.date.fromordinal(min(self._days)), dt.date.fromordinal(max(self._days))


def named_rows(
    source: Path | bytes,
    options: ImportOptions,
    columns: tuple[str, ...],
    use: Callable[[Record, Tally], bool],
) -> Tally:
    """Hand each row's ``columns``, in that order, to ``use`` and return the tally.

    With ``header: absent`` the file has exactly ``columns`` in that order. Raises ``InputError``
    (VPG1309) when the header lacks one of them or has one twice.
    """
    csv_source, tally = open_tally(source, options)
    width = len(columns)
    order = tuple(range(width))
    waiting = options.header != "absent"

    def pick(record: Record, tally: Tally) -> bool:
        return use(record._replace(fields=tuple(record.fields[i] for i in order)), tally)

    for record in csv_source.records():
        if waiting and record.fields:
            order = _header(record, columns, tally.file)
            width = len(record.fields)
            tally.counts["header_rows"] += 1
            waiting = False
            continue
        take(record, width, tally, pick if order != tuple(range(width)) else use)
    return tally


def _header(record: Record, columns: tuple[str, ...], file: str) -> tuple[int, ...]:
    """Return where each of ``columns`` stands."""
    names = [name.strip() for name in record.fields]
    others = [name for name in names if name not in columns]
    problems = []
    for column in columns:
        if names.count(column) == 1:
            continue
        near = difflib.get_close_matches(column, others, n=1, cutoff=0.6)
        values = {
            "column": column,
            "found": names.count(column),
            "hint": near[0] if near and not names.count(column) else "-",
            "wanted": ", ".join(columns),
        }
        place = Place(file=file, line=record.line, column=1)
        problems.append(Problem(code="VPG1309", place=place, values=values))
    if problems:
        raise InputError(problems)
    return tuple(names.index(column) for column in columns)
