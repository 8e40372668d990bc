"""A local demand curve on the simulated time axis.

Owns: where each interval lies, what repeated and left-out hours become, gaps, and the exact split
into millionths of a message. Three readings:

* no ``rebase``: each row at its true instant.
* ``rebase``, clock ``wall``: the time of day written in the file becomes that time of day in JST;
  the first local day becomes the given date. JST has no clock changes: an hour that occurred twice
  becomes one hour with the demand of both, an hour that never occurred becomes an hour without
  demand.
* ``rebase``, clock ``elapsed``: the first local midnight becomes midnight JST, and every instant
  keeps its real distance from it: rates stay true, times of day shift by the change from then on.

Nothing is lost: the messages of all intervals add up to the used values times the scale, to a
millionth.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from vpg.timebase import JST, MINUTE_US, from_datetime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from scenarios.importers.localclock import LocalClock
    from scenarios.importers.options import DemandOptions
    from scenarios.importers.tally import Tally

MILLION = 1_000_000
HOUR = dt.timedelta(hours=1)
_HOUR_US = 60 * MINUTE_US
_MARKS_MAX = 100_000
_WEEK_DAYS = 7
_UTC_MIN = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One row: local time, value, line of the file; its pass (``fold``) and instant once known."""

    local: dt.datetime
    value: Decimal
    line: int
    fold: int = 0
    at: dt.datetime = _UTC_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Demand of [``begin_us``, ``end_us``) in millionths of a message."""

    begin_us: int
    end_us: int
    micro_messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The simulated time axis: local ``midnight`` lies at ``start_us``."""

    clock: LocalClock
    midnight: dt.datetime
    start_us: int
    wall: bool
    """Times of day are kept; else distances are."""

    def place_us(self, at: dt.datetime) -> int:
        """Return where the instant ``at`` lies when real distances are kept."""
        return from_datetime(at) - from_datetime(self.clock.instant(self.midnight)) + self.start_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Intervals in time order; ``start`` is the midnight the scenario begins at."""

    intervals: tuple[Interval, ...]
    start: dt.datetime
    first_day: dt.date
    last_day: dt.date
    step: dt.timedelta
    rows: int


def curve_of(
    points: Sequence[Point],
    step: dt.timedelta,
    clock: LocalClock,
    options: DemandOptions,
    tally: Tally,
) -> Curve:
    """Return the curve of ``points`` (in time order) and tell gaps and clock changes."""
    first_day = options.first or points[0].local.date()
    midnight = dt.datetime.combine(first_day, dt.time())
    start = _start(midnight, clock, options)
    _tell_weekday(first_day, options, tally)
    _tell_gaps(points, step, clock, tally)
    axis = Axis(
        clock=clock,
        midnight=midnight,
        start_us=from_datetime(start),
        wall=options.rebase is not None and options.clock == "wall",
    )
    single = _tell_repeated(points, axis, tally)
    pieces: dict[tuple[int, int], Fraction] = {}
    for point in points:
        for begin, end, share in _places(point, step, axis, single):
            exact = Fraction(point.value) * Fraction(options.scale) * share
            for part in hourly(begin, end):
                weight = Fraction(part[1] - part[0], end - begin)
                pieces[part] = pieces.get(part, Fraction()) + exact * weight
    return Curve(
        intervals=tuple(in_millionths(pieces)),
        start=start,
        first_day=first_day,
        last_day=points[-1].local.date(),
        step=step,
        rows=len(points),
    )


def hourly(begin_us: int, end_us: int) -> list[tuple[int, int]]:
    """Return [begin, end) in parts of at most one hour, the most a demand interval may last."""
    starts = range(begin_us, end_us, _HOUR_US)
    return [(start, min(start + _HOUR_US, end_us)) for start in starts]


def in_millionths(pieces: dict[tuple[int, int], Fraction]) -> list[Interval]:
    """Return the intervals with whole millionths whose running sum is never a millionth off."""
    intervals = []
    exact, given = Fraction(), 0
    for (begin_us, end_us), messages in sorted(pieces.items()):
        exact += messages
        micro = int(exact * MILLION) - given
        given += micro
        intervals.append(Interval(begin_us=begin_us, end_us=end_us, micro_messages=micro))
    return intervals


def _start(midnight: dt.datetime, clock: LocalClock, options: DemandOptions) -> dt.datetime:
    if options.rebase is None:
        return clock.instant(midnight)
    return dt.datetime.combine(options.rebase, dt.time(), tzinfo=JST)


def _places(
    point: Point, step: dt.timedelta, axis: Axis, single: frozenset[dt.datetime]
) -> list[tuple[int, int, Fraction]]:
    """Return where a row's demand lies: (begin, end) in SimUs and its share of the value."""
    whole = Fraction(1)
    if axis.wall:
        begin_us = axis.start_us + _us(point.local - axis.midnight)
        return [(begin_us, begin_us + _us(step), whole)]
    begin_us = axis.place_us(point.at)
    if step > HOUR:
        # Longer than a clock change: the row lasts until the next local mark, 23 or 25 h for a day.
        return [(begin_us, axis.place_us(axis.clock.instant(point.local + step)), whole)]
    if point.local not in single:
        return [(begin_us, begin_us + _us(step), whole)]
    again_us = axis.place_us(axis.clock.instant(point.local, 1))
    half = Fraction(1, 2)
    return [(at, at + _us(step), half) for at in (begin_us, again_us)]


def _us(span: dt.timedelta) -> int:
    return span // dt.timedelta(microseconds=1)


def _tell_repeated(points: Sequence[Point], axis: Axis, tally: Tally) -> frozenset[dt.datetime]:
    """Tell every row in a repeated hour; return the local times with one row for both passes."""
    clock = axis.clock
    doubled = {point.local for point in points if point.fold}
    both, one = ("VPG1337", "VPG1338") if axis.wall else ("VPG1343", "VPG1344")
    single = set()
    for point in points:
        if clock.kind(point.local) != "repeated":
            continue
        tally.counts["rows_in_repeated_hours"] += 1
        values: dict[str, object] = {
            "local": point.local.isoformat(" "),
            "zone": clock.zone.key,
            "value": f"{point.value:f}",
            "turn": point.fold + 1,
        }
        if point.local in doubled:
            code = both
            tally.tell(code, point.line, 1, "timestamp", **values)
        else:
            single.add(point.local)
            code = one
            tally.tell(code, point.line, 1, "timestamp", **values)
    return frozenset(single)


def _tell_gaps(
    points: Sequence[Point], step: dt.timedelta, clock: LocalClock, tally: Tally
) -> None:
    """Tell where rows are missing, and where the clock was put forward so that none can be."""
    for before, after in pairwise(points):
        offset = (after.local - before.local) - (after.at - before.at)
        if offset > dt.timedelta():
            tally.counts["clock_put_forward"] += 1
            values = {"zone": clock.zone.key, "minutes": offset // dt.timedelta(minutes=1)}
            tally.tell("VPG1339", after.line, 1, "timestamp", **values)
        missing = (after.local - before.local) // step - 1
        if offset > dt.timedelta() and 0 < missing <= _MARKS_MAX:
            marks = (before.local + k * step for k in range(1, missing + 1))
            missing -= sum(clock.kind(mark) == "missing" for mark in marks)
        if missing > 0:
            tally.counts["intervals_missing"] += missing
            values = {"missing": missing, "after": before.local.isoformat(" ")}
            tally.tell("VPG1335", after.line, 1, "timestamp", **values)


def _tell_weekday(first_day: dt.date, options: DemandOptions, tally: Tally) -> None:
    """Tell when the rebased days fall on other weekdays, and the nearest date where they do not."""
    if options.rebase is None or options.rebase.weekday() == first_day.weekday():
        return
    ahead = (first_day.weekday() - options.rebase.weekday()) % _WEEK_DAYS
    back = ahead - _WEEK_DAYS
    days = ahead if ahead <= -back else back
    near = options.rebase + dt.timedelta(days=days)
    values: dict[str, object] = {
        "first": first_day.isoformat(),
        "rebase": options.rebase.isoformat(),
        "near": near.isoformat(),
    }
    tally.tell("VPG1340", 0, 1, "--rebase", **values)
