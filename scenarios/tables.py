"""CSV files that a scenario names: demand curves and traces.

Owns: finding them inside the scenario's folder, reading their rows, exact splitting at hours. Does
not own: making them (``scenarios.importers``). Times: ISO 8601 with a zone, or ``SimUs`` integers.
"""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from scenarios.places import path_text, shorten
from scenarios.reading import decode, fail, read_bytes
from scenarios.times import TimeTextError, read_instant, read_moment
from vpg.errors import InputError, Place, Problem
from vpg.timebase import HOUR_US, MINUTE_US, hour_start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.context import Context
    from scenarios.places import Path as NodePath

TABLE_BYTES_MAX = 32 << 20
ROWS_MAX = 300_000
BAD_ROWS_MAX = 20
MICRO = 1_000_000
_MESSAGES_MAX = Decimal(10**12)
DEMAND_COLUMNS = ("begins_at", "ends_at", "messages")
TRACE_COLUMNS = ("time", "line", "bytes_up", "bytes_down")


@dataclass(frozen=True, slots=True)
class Point:
    """Demand of one interval, with the place it was written."""

    place: Place
    begins_us: int
    ends_us: int
    messages: Decimal


def inside(folder: Path, name: str) -> Path | None:
    """Return the file ``name`` of ``folder``; None when it leads out of it (links followed)."""
    try:
        whole = folder.resolve()
        target = (whole / name).resolve()
    except (OSError, RuntimeError, ValueError):  # A loop of links, or no name at all.
        return None
    return target if target.is_relative_to(whole) else None


def _text(name: str, path: NodePath, context: Context) -> str | None:
    """Return the text of the file ``name``, or None with the reason noted at ``path``."""
    if context.folder is None:
        context.problem("VPG1270", path, value=shorten(name))
        return None
    target = inside(context.folder, name)
    if target is None:
        context.problem("VPG1271", path, value=shorten(name))
        return None
    try:
        return decode(read_bytes(target, TABLE_BYTES_MAX), str(context.folder / name))
    except InputError as error:
        for problem in error.problems:
            in_table = problem.place is not None and problem.place.line
            place = problem.place if in_table else context.node.place_of(path)
            context.problems.append(dataclasses.replace(problem, place=place, path=path_text(path)))
        return None


def _rows(
    name: str, columns: tuple[str, ...], path: NodePath, context: Context
) -> Iterator[tuple[Place, list[str]]]:
    """Yield place and cells (in the order of ``columns``) of each row; raise ``InputError``."""
    text = _text(name, path, context)
    if text is None:
        return
    file = str((context.folder or Path()) / name)
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        missing = [column for column in columns if column not in header]
        if missing:
            values = {"missing": ", ".join(missing), "wanted": ",".join(columns)}
            raise fail("VPG1272", Place(file=file, line=1, column=1), **values)
        places = [header.index(column) for column in columns]
        for number, cells in enumerate(reader):
            if not cells:
                continue
            place = Place(file=file, line=reader.line_num, column=1)
            if number >= ROWS_MAX:
                raise fail("VPG1220", place, most=ROWS_MAX)
            if len(cells) != len(header):
                raise fail("VPG1274", place, value=len(cells), wanted=len(header))
            yield place, [cells[at] for at in places]
    except csv.Error as error:
        place = Place(file=file, line=reader.line_num, column=1)
        raise fail("VPG1275", place, reason=str(error)) from None


def _time(text: str, start_us: int | None) -> int:
    bare = text.strip()
    if bare.isascii() and bare.isdigit() and len(bare) <= 18:  # noqa: PLR2004 - int64
        return int(bare)
    return read_instant(bare) if start_us is None else read_moment(bare, start_us)


def _bad(problems: list[Problem], place: Place, code: str, path: str, **values: object) -> None:
    problems.append(Problem(code=code, place=place, path=path, values=dict(values)))
    if len(problems) >= BAD_ROWS_MAX:
        raise InputError(problems)


def demand_file(name: str, path: NodePath, context: Context) -> list[Point] | None:
    """Return the points of a demand CSV, or None with its problems noted."""
    points: list[Point] = []
    problems: list[Problem] = []
    before = len(context.problems)
    try:
        for place, cells in _rows(name, DEMAND_COLUMNS, path, context):
            times = []
            for column, cell in zip(DEMAND_COLUMNS, cells[:2], strict=False):
                try:
                    times.append(_time(cell, None))
                except TimeTextError as error:
                    _bad(problems, place, error.code, column, value=shorten(cell), hint=error.hint)
            messages = _number(cells[2])
            if messages is None:
                _bad(problems, place, "VPG1273", "messages", value=shorten(cells[2]))
            elif len(times) == 2:  # noqa: PLR2004 - begin and end
                points.append(Point(place, times[0], times[1], messages))
    except InputError as error:
        problems = problems if problems == error.problems else [*problems, *error.problems]
    context.problems += problems
    if not points and len(context.problems) == before:
        context.problem("VPG1219", path, least=1)
    return points if points and not problems else None


def _number(text: str) -> Decimal | None:
    """Return a finite decimal from 0 to 10^12, else None."""
    try:
        number = Decimal(text.strip()) if len(text) <= 40 else Decimal("NaN")  # noqa: PLR2004
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= _MESSAGES_MAX else None


def intervals(
    points: list[Point], scale: Decimal, path: NodePath, context: Context
) -> list[tuple[int, int, int]]:
    """Return (begins_us, ends_us, micro_messages) of what overlaps the run, in parts of an hour.

    Longer intervals are split at clock hours, their messages by length; the parts add up to the
    whole.
    """
    problems: list[Problem] = []
    built: list[tuple[int, int, int]] = []
    last_us = 0
    start_us, end_us = context.start_us, context.end_us
    try:
        for point in points:
            if point.begins_us >= point.ends_us:
                _bad(problems, point.place, "VPG1276", "ends_at")
            elif point.begins_us % MINUTE_US or point.ends_us % MINUTE_US:
                _bad(problems, point.place, "VPG1297", "begins_at")
            elif point.begins_us < last_us:
                _bad(problems, point.place, "VPG1277", "begins_at")
            elif start_us is not None and end_us is not None:
                built += _split(point, int(point.messages * scale * MICRO), start_us, end_us)
            last_us = max(last_us, point.ends_us)
    except InputError:
        pass  # Carries the same list.
    context.problems += problems
    if not built and not problems and start_us is not None and end_us is not None:
        context.problem("VPG1278", path, **context.run_texts())
    return [] if problems else built


def _split(point: Point, micro: int, start_us: int, end_us: int) -> list[tuple[int, int, int]]:
    """Return the parts of ``point`` that overlap [start_us, end_us)."""
    if point.ends_us <= start_us or point.begins_us >= end_us:
        return []
    length_us = point.ends_us - point.begins_us
    if length_us <= HOUR_US:
        return [(point.begins_us, point.ends_us, micro)]
    parts: list[tuple[int, int, int]] = []
    begin_us = max(point.begins_us, hour_start(start_us))
    given = micro * (begin_us - point.begins_us) // length_us
    while begin_us < min(point.ends_us, end_us):
        until_us = min(hour_start(begin_us) + HOUR_US, point.ends_us)
        upto = micro * (until_us - point.begins_us) // length_us
        parts.append((begin_us, until_us, upto - given))
        begin_us, given = until_us, upto
    return parts


def trace_file(
    name: str, lines: int, path: NodePath, context: Context
) -> list[tuple[int, int, int, int]]:
    """Return (time_us, line, bytes_up, bytes_down) inside the run, by time and line."""
    rows: list[tuple[int, int, int, int]] = []
    problems: list[Problem] = []
    before = len(context.problems)
    most = (("line", lines - 1), ("bytes_up", 10**9), ("bytes_down", 10**9))
    try:
        for place, cells in _rows(name, TRACE_COLUMNS, path, context):
            try:
                at_us = _time(cells[0], context.start_us)
            except TimeTextError as error:
                _bad(problems, place, error.code, "time", value=shorten(cells[0]), hint=error.hint)
                continue
            numbers = []
            for (column, high), cell in zip(most, cells[1:], strict=True):
                number = _number(cell)
                if number is None or number != int(number) or number > high:
                    _bad(problems, place, "VPG1279", column, value=shorten(cell), high=high)
                else:
                    numbers.append(int(number))
            if len(numbers) == len(most):
                rows.append((at_us, numbers[0], numbers[1], numbers[2]))
    except InputError as error:
        problems = problems if problems == error.problems else [*problems, *error.problems]
    context.problems += problems
    if problems or context.start_us is None or context.end_us is None:
        return []
    within = sorted(row for row in rows if context.start_us <= row[0] < context.end_us)
    if rows and not within:
        context.problem("VPG1278", path, **context.run_texts())
    if not rows and len(context.problems) == before:
        context.problem("VPG1219", path, least=1)
    return within
