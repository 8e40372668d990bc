"""Rows of a CSV whose columns stand in a fixed order, with or without a header (A-29).

Owns: the walk over the records, header detection, the column count, and the counting of each row as
used, bad, outside or blank. Does not own: the meaning of a column.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scenarios.importers.tally import BadField, Tally
from vpg.csvfile import CsvSource, Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scenarios.importers.options import ImportOptions


_NUMBER = re.compile(r"[0-9][0-9/. -]*")
"""A phone number, a date, a count: a header has none."""


def open_tally(source: Path | bytes, options: ImportOptions) -> tuple[CsvSource, Tally]:
    """Return the checked file and an empty tally for it."""
    csv_source = CsvSource(source, options.encoding)
    return csv_source, Tally(file=csv_source.file, problems_max=options.problems_max)


def portal_rows(
    source: Path | bytes,
    options: ImportOptions,
    columns: int,
    use: Callable[[Record, Tally], bool],
) -> Tally:
    """Hand each row to ``use`` and return the tally.

    ``use`` returns False for a row outside of what was asked and raises ``BadField`` for a bad one.
    """
    csv_source, tally = open_tally(source, options)
    first = True
    for record in csv_source.records():
        if first and record.fields and _is_header(record, options, tally):
            tally.counts["header_rows"] += 1
            first = False
            continue
        first = first and not record.fields
        take(record, columns, tally, use)
    return tally


def take(record: Record, columns: int, tally: Tally, use: Callable[[Record, Tally], bool]) -> None:
    """Count one record: blank, bad (told with its line) or what ``use`` says of it."""
    tally.counts["rows_read"] += 1
    if not record.broken and not any(text.strip() for text in record.fields):
        tally.counts["rows_blank"] += 1
        return
    try:
        used = _whole(record, columns) and use(record, tally)
    except BadField as bad:
        tally.bad(bad.code, record.line, record.column(bad.column), bad.path, **bad.values)
        return
    tally.counts["rows_used" if used else "rows_outside"] += 1


def _whole(record: Record, columns: int) -> bool:
    """Return True; raise ``BadField`` for what is no CSV, runs over lines or has other columns."""
    if record.last_line > record.line:
        # No field of these files has a line break: a quote did not close and took rows along.
        raise BadField("VPG1312", 0, "", last_line=record.last_line)
    if record.broken:
        raise BadField("VPG1311", 0, "", reason=record.broken)
    if len(record.fields) != columns:
        raise BadField("VPG1310", 0, "", found=len(record.fields), wanted=columns)
    return True


def _is_header(record: Record, options: ImportOptions, tally: Tally) -> bool:
    if options.header == "absent":
        return False
    data = bool(record.broken) or any(_NUMBER.fullmatch(text.strip()) for text in record.fields)
    if options.header == "present":
        if data:
            tally.tell("VPG1315", record.line)
        return True
    return not data
