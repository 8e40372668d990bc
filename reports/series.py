"""A run as equal time bins per VPG, with the limits in force: what charts draw and findings read.

Owns: binning, the number of lines in minutes without a row, which limit was in force when.
Does not own: drawing, judging. Times are ``SimUs``; bins are half-open, aligned to minutes or
hours UTC.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.model import Growth, LineChange, Recreate
from vpg.rating.histogram import percentile_us
from vpg.rating.totals import limited, merge_histograms
from vpg.timebase import DAY_US, HOUR_US, MINUTE_US

if TYPE_CHECKING:
    from scenarios.model import Fleet, Scenario, Vpg
    from vpg.catalogue.model import Catalogue
    from vpg.rating.hourly import HourlyRow
    from vpg.results import MinuteRow, RunResult

FINE_UNTIL_US = 2 * DAY_US
"""Longest run that is drawn by the minute; longer ones go by the hour."""
_HOUR_MINUTES = HOUR_US // MINUTE_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a VPG is from ``from_us`` on, and the limits that go with it (None: uncapped)."""

    from_us: int
    type: str
    size: str
    lines_max: int | None
    rate_per_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VpgSeries:
    """One VPG in bins of ``width_us`` from ``start_us``; every list has one value a bin."""

    vpg_id: str
    start_us: int
    width_us: int
    attempts: tuple[int, ...]
    accepted: tuple[int, ...]
    throttled: tuple[int, ...]
    rate_peak_per_s: tuple[int, ...]
    lines_peak: tuple[int, ...]
    ghosts_peak: tuple[int, ...]
    """By the hour even in minute bins: the run keeps no finer figure."""
    refused: tuple[int, ...]
    rate_limit: tuple[int | None, ...]
    lines_limit: tuple[int | None, ...]

    @property
    def bins(self) -> int:
        """Return the number of bins."""
        return len(self.attempts)

    def edges_us(self) -> list[int]:
        """Return the ``bins`` + 1 borders of the bins (SimUs)."""
        return [self.start_us + i * self.width_us for i in range(self.bins + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayHour:
    """Delay of the messages delivered in one hour of one VPG (µs)."""

    hour_start_us: int
    p50_us: int
    p99_us: int
    max_us: int


def configs(scenario: Scenario, catalogue: Catalogue, vpg: Vpg) -> tuple[Config, ...]:
    """Return what ``vpg`` is over the run, in time order, with the limits of each moment."""
    changes = [(vpg.created_at_us, vpg.type, vpg.size)]
    changes += [
        (event.at_us, event.type, event.size)
        for event in scenario.events
        if isinstance(event, Recreate) and event.vpg_id == vpg.id
    ]
    found = []
    for from_us, kind, size in changes:
        limits = catalogue.limits(kind, size, max(from_us, scenario.start_us))
        found.append(
            Config(
                from_us=from_us,
                type=kind,
                size=size,
                lines_max=limits.lines_max,
                rate_per_s=limits.rate_per_s,
            )
        )
    return tuple(found)


def config_at(known: tuple[Config, ...], at_us: int) -> Config:
    """Return the one of ``known`` in force at ``at_us``; the first one for any earlier instant."""
    return known[max(0, bisect_right(known, at_us, key=lambda c: c.from_us) - 1)]


def fleet_lines(scenario: Scenario, fleet: Fleet, until_us: int) -> int:
    """Return the lines of ``fleet`` that are not terminated when ``until_us`` comes."""
    grown, spans = 0, []
    for event in scenario.events:
        if event.at_us >= until_us:
            continue
        if isinstance(event, Growth) and event.fleet == fleet.name:
            grown += event.lines
        elif (
            isinstance(event, LineChange)
            and event.fleet == fleet.name
            and event.status == "terminated"
        ):
            spans.append((event.first_line, event.first_line + event.lines))
    first = fleet.lines if fleet.status == "terminated" else 0
    gone, reach = 0, first
    for begin, end in sorted(spans):  # spans may overlap: a line ends once
        gone += max(0, end - max(begin, reach))
        reach = max(reach, end)
    return fleet.lines + grown - first - gone


def lines_bound(scenario: Scenario, vpg_id: str, until_us: int) -> int:
    """Return the lines bound to a VPG at ``until_us``, connected or not (A-01, assigned SIMs)."""
    own = [fleet for fleet in scenario.fleets if fleet.vpg_id == vpg_id]
    return sum(fleet_lines(scenario, fleet, until_us) for fleet in own)


def bin_width_us(scenario: Scenario, result: RunResult) -> int:
    """Return one minute for runs of at most two days, else one hour (µs)."""
    fine = result.ended_at_us - scenario.start_us <= FINE_UNTIL_US
    return MINUTE_US if fine else HOUR_US


def vpg_series(scenario: Scenario, catalogue: Catalogue, result: RunResult, vpg: Vpg) -> VpgSeries:
    """Return the series of ``vpg`` over the simulated time."""
    width = bin_width_us(scenario, result)
    start = scenario.start_us - scenario.start_us % width
    count = max(1, -(-(result.ended_at_us - start) // width))
    rows = [row for row in result.rows if row.vpg_id == vpg.id]
    known = configs(scenario, catalogue, vpg)
    gone_us = result.ended_at_us if vpg.deleted_at_us is None else vpg.deleted_at_us
    rate: list[int | None] = []
    cap: list[int | None] = []
    for index in range(count):
        begin = start + index * width
        exists = begin + width > vpg.created_at_us and begin < gone_us
        config = config_at(known, begin)
        rate.append(config.rate_per_s if exists else None)
        cap.append(config.lines_max if exists else None)
    if width == HOUR_US:
        columns = _by_hour(rows, start, count)
    else:
        minutes = [m for m in result.minutes if m.vpg_id == vpg.id]
        columns = _by_minute(rows, minutes, start, count)
    return VpgSeries(
        vpg_id=vpg.id,
        start_us=start,
        width_us=width,
        rate_limit=tuple(rate),
        lines_limit=tuple(cap),
        **{name: tuple(values) for name, values in columns.items()},
    )


def _empty(count: int) -> dict[str, list[int]]:
    names = ("attempts", "accepted", "throttled", "rate_peak_per_s", "lines_peak", "ghosts_peak")
    return {name: [0] * count for name in (*names, "refused")}


def _by_hour(rows: list[HourlyRow], start_us: int, count: int) -> dict[str, list[int]]:
    columns = _empty(count)
    for row in rows:
        i = (row.hour_start_us - start_us) // HOUR_US
        if not 0 <= i < count:
            continue
        for name in ("attempts", "accepted", "throttled"):
            columns[name][i] += limited(row, name)
        columns["refused"][i] += row.sessions_refused
        for name in ("rate_peak_per_s", "lines_peak", "ghosts_peak"):
            columns[name][i] = max(columns[name][i], getattr(row, name))
    return columns


def _by_minute(
    rows: list[HourlyRow], minutes: list[MinuteRow], start_us: int, count: int
) -> dict[str, list[int]]:
    columns = _empty(count)
    known: dict[int, int] = {}
    for minute in minutes:
        i = (minute.minute_start_us - start_us) // MINUTE_US
        if not 0 <= i < count:
            continue
        columns["attempts"][i] = minute.attempts
        columns["accepted"][i] = minute.accepted
        columns["throttled"][i] = minute.throttled
        columns["rate_peak_per_s"][i] = minute.rate_peak_per_s
        columns["refused"][i] = minute.sessions_refused
        known[i] = minute.lines_peak
    columns["lines_peak"] = _carried(rows, known, start_us, count)
    for row in rows:
        first = (row.hour_start_us - start_us) // MINUTE_US
        for i in range(max(0, first), min(count, first + _HOUR_MINUTES)):
            columns["ghosts_peak"][i] = max(columns["ghosts_peak"][i], row.ghosts_peak)
    return columns


def _carried(rows: list[HourlyRow], known: dict[int, int], start_us: int, count: int) -> list[int]:
    """Return the lines of every minute: a minute without a row has what held since the last one.

    That number is known exactly where the gap crosses an hour (``sessions_start``); inside an
    hour it is at most the peak on either side, and the smaller of the two is drawn.
    """
    border: dict[int, int] = {}
    for row in rows:
        first = (row.hour_start_us - start_us) // MINUTE_US
        border.setdefault(first, row.sessions_start)
        border[first + _HOUR_MINUTES] = row.sessions_end
    lines = [0] * count
    index = 0
    while index < count:
        stop = index
        while stop < count and stop not in known:
            stop += 1
        if stop > index:
            crossed = [border[i] for i in range(index, stop + 1) if i in border]
            sides = [known[i] for i in (index - 1, stop) if i in known]
            value = crossed[0] if crossed else min(sides, default=0)
            lines[index:stop] = [value] * (stop - index)
        if stop < count:
            lines[stop] = known[stop]
        index = stop + 1
    return lines


def delay_hours(result: RunResult, vpg_id: str) -> tuple[DelayHour, ...]:
    """Return the delay percentiles of each hour of ``vpg_id`` in which a message was delivered."""
    merged: dict[int, dict[int, int]] = {}
    for (owner, hour, _), counts in sorted(result.delays.items()):
        if owner == vpg_id:
            merged[hour] = merge_histograms((merged.get(hour, {}), counts))
    return tuple(
        DelayHour(
            hour_start_us=hour,
            p50_us=percentile_us(counts, 50),
            p99_us=percentile_us(counts, 99),
            max_us=percentile_us(counts, 100),
        )
        for hour, counts in sorted(merged.items())
        if counts
    )
