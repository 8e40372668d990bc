"""What one long run says about itself: the interval of a share by batch means, warm-up left out.

Owns: hours as values, days as batches. Does not own: the statistics (``stats``). A batch is whole
days, because demand repeats by the day and an hour remembers the hour before. Times: clock hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.stats import Interval, mean_interval, mser5
from vpg.rating.totals import totals
from vpg.replications import share_of
from vpg.timebase import HOUR_US, hour_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.model import Scenario
    from vpg.rating.hourly import HourlyRow
    from vpg.replications import FigureName
    from vpg.results import RunResult

DAY_H = 24
BATCHES_MIN = 10
"""Fewer days say too little about their own spread."""
BATCHES_MAX = 30
"""More batches would be shorter ones, and closer relatives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """The interval of a share in the long run, and how many hours were its warm-up."""

    interval: Interval
    warm_up_h: int


def share_within(scenario: Scenario, result: RunResult, figure: FigureName) -> Within | None:
    """Return what ``result``, one run of ``scenario``, says of a share; None: it is too short.

    Whole clock hours count. The hours that MSER-5 cuts are left out, then as many as do not fill a
    batch; at least ten days have to be left.
    """
    hours = _hours(scenario, result)
    cut = mser5([_share(hour, figure) for hour in hours])
    if cut is None:
        return None
    days = (len(hours) - cut) // DAY_H
    if days < BATCHES_MIN:
        return None
    length = DAY_H * -(-days // BATCHES_MAX)
    batches = (len(hours) - cut) // length
    warm_up_h = len(hours) - batches * length
    shares = [
        _share([row for hour in hours[start : start + length] for row in hour], figure)
        for start in range(warm_up_h, len(hours), length)
    ]
    return Within(interval=mean_interval(shares), warm_up_h=warm_up_h)


def _hours(scenario: Scenario, result: RunResult) -> list[list[HourlyRow]]:
    """Return the rows of each whole clock hour of the run, in order."""
    first_us = -(-scenario.start_us // HOUR_US) * HOUR_US
    last_us = hour_start(result.ended_at_us)
    by_hour: dict[int, list[HourlyRow]] = {
        hour_us: [] for hour_us in range(first_us, last_us, HOUR_US)
    }
    for row in result.rows:
        if row.hour_start_us in by_hour:
            by_hour[row.hour_start_us].append(row)
    return list(by_hour.values())


def _share(rows: Sequence[HourlyRow], figure: FigureName) -> float:
    return share_of(totals(rows, {}), figure)
