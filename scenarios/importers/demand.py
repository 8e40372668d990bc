"""Importer ``demand``: a measured curve ``timestamp,value`` in local time as a fleet's demand.

Owns: reading and checking the rows. Does not own: clock changes (``localclock``) or the placing of
the values on the simulated time axis (``curve``). Values are messages of the whole fleet per
interval; the interval's length is the distance between rows and must be regular.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from scenarios.importers import fields
from scenarios.importers.curve import Point, curve_of
from scenarios.importers.curvefile import demand_import
from scenarios.importers.localclock import LocalClock, read_zone
from scenarios.importers.named import named_rows
from scenarios.importers.tally import BadField
from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.importers.options import DemandOptions
    from scenarios.importers.result import Imported
    from scenarios.importers.tally import Tally
    from vpg.csvfile import Record

COLUMNS = ("timestamp", "value")
ROWS_MAX = 1_000_000
"""Nine years of 5-minute rows."""
_MIDNIGHT = dt.datetime(1, 1, 1)  # noqa: DTZ001 - local times have no zone here
_ONE_DAY = dt.timedelta(days=1)
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_ZONED = re.compile(r".*([Zz]|[+-][0-9]{2}:?[0-9]{2})")


def import_demand(source: Path | bytes, options: DemandOptions) -> Imported:
    """Return a scenario with a demand curve and its CSV; ``source`` is a path or bytes.

    Raises ``UsageError`` without a zone, ``InputError`` when nothing is usable, when the rows have
    no regular distance, or, with ``strict``, when any row is bad.
    """
    options.check()
    clock = LocalClock(read_zone(options.tz))
    points: list[Point] = []

    def use(record: Record, tally: Tally) -> bool:
        local = _local_time(record.fields[0])
        value = fields.decimal(record.fields[1], 1, "value")
        day = local.date()
        outside = (options.first and day < options.first) or (
            options.until and day >= options.until
        )
        if outside:
            return False
        if len(points) >= ROWS_MAX:
            place = Place(file=tally.file, line=record.line, column=1)
            raise InputError([Problem(code="VPG1318", place=place, values={"bound": ROWS_MAX})])
        points.append(Point(local=local, value=value, line=record.line))
        return True

    tally = named_rows(source, options, COLUMNS, use)
    step = _step(points, tally)
    points = _checked(points, step, clock, tally)
    points = _within_days(points, options, tally)
    counts = tally.close(strict=options.strict, usable=bool(points))
    curve = curve_of(points, step, clock, options, tally)
    return demand_import(curve, options, tally, counts)


def _local_time(text: str) -> dt.datetime:
    plain = text.strip()
    if _LOCAL.fullmatch(plain):
        try:
            return dt.datetime.fromisoformat(plain)
        except ValueError:
            pass
    elif _ZONED.fullmatch(plain) and _LOCAL.match(plain):
        raise BadField("VPG1331", 0, "timestamp", value=fields.shown(text))
    raise BadField("VPG1330", 0, "timestamp", value=fields.shown(text))


def _step(points: list[Point], tally: Tally) -> dt.timedelta:
    """Return the distance between rows that occurs most; it must divide a day."""
    distances = Counter(
        later.local - earlier.local
        for earlier, later in pairwise(points)
        if later.local > earlier.local
    )
    if not distances:
        tally.close(strict=False, usable=bool(points))
        place = Place(file=tally.file)
        raise InputError([*tally.problems(), Problem(code="VPG1345", place=place)])
    step, times = max(distances.items(), key=lambda item: (item[1], -item[0]))
    if _ONE_DAY % step or 2 * times < len(points) - 1:
        values = {"step": str(step), "times": times, "rows": len(points)}
        raise InputError([Problem(code="VPG1341", place=Place(file=tally.file), values=values)])
    return step


def _unuse(tally: Tally, code: str, point: Point, **values: object) -> None:
    """Make a row that was read well a bad one."""
    tally.counts["rows_used"] -= 1
    tally.bad(code, point.line, 1, "timestamp", value=point.local.isoformat(" "), **values)


def _checked(
    points: list[Point], step: dt.timedelta, clock: LocalClock, tally: Tally
) -> list[Point]:
    """Return the usable rows in time order, each with its pass through a repeated hour."""
    phases = Counter((point.local - _MIDNIGHT) % step for point in points)
    phase = max(phases.items(), key=lambda item: (item[1], -item[0]))[0]
    seen: dict[dt.datetime, int] = {}
    good: list[Point] = []
    latest: dt.datetime | None = None
    for point in points:
        if (point.local - _MIDNIGHT) % step != phase:
            _unuse(tally, "VPG1336", point, step=str(step))
            continue
        kind = clock.kind(point.local)
        if kind == "missing" and step <= dt.timedelta(hours=1):
            _unuse(tally, "VPG1332", point, zone=clock.zone.key)
            continue
        fold = seen.get(point.local, 0)
        if fold > (kind == "repeated"):
            _unuse(tally, "VPG1333", point)
            continue
        seen[point.local] = fold + 1
        at = clock.instant(point.local, fold)
        if latest is not None and at < latest:
            tally.counts["rows_unordered"] += 1
            tally.tell("VPG1334", point.line, 1, "timestamp", value=point.local.isoformat(" "))
        latest = at if latest is None else max(at, latest)
        good.append(Point(local=point.local, value=point.value, line=point.line, fold=fold, at=at))
    return sorted(good, key=lambda point: point.at)


def _within_days(points: list[Point], options: DemandOptions, tally: Tally) -> list[Point]:
    """Return the rows of the first ``days`` local days."""
    if options.days is None or not points:
        return points
    first = options.first or points[0].local.date()
    end = dt.datetime.combine(first, dt.time()) + options.days * _ONE_DAY
    inside = [point for point in points if point.local < end]
    cut = len(points) - len(inside)
    tally.counts["rows_used"] -= cut
    tally.counts["rows_outside"] += cut
    return inside
