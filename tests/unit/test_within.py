"""The interval of one long run: whole hours, whole days, the warm-up left out."""

from __future__ import annotations

import dataclasses

import pytest

from sim.stats import mean_interval
from sim.within import share_within
from tests.support_sim import START_US, scenario
from vpg.rating.hourly import HourlyRow
from vpg.results import RunResult
from vpg.timebase import HOUR_US

DAY_H = 24


def run_of(throttled: list[int], attempts: int = 100, start_us: int = START_US) -> RunResult:
    """Return a run with so many refusals of ``attempts`` in each hour, half at each of two VPGs."""
    rows = [
        HourlyRow(
            vpg_id=name,
            hour_start_us=start_us + hour * HOUR_US,
            attempts_beam=attempts // 2,
            throttled_beam=count // 2 + (count % 2 if name == "b" else 0),
        )
        for name in ("a", "b")
        for hour, count in enumerate(throttled)
    ]
    return RunResult(
        rows=tuple(rows),
        delays={},
        minutes=(),
        notes=(),
        status="complete",
        ended_at_us=start_us + len(throttled) * HOUR_US,
    )


def daily(days: int) -> list[int]:
    """Return days with a rush hour, alternately small and great."""
    return [
        (20 + 10 * (day % 2) if hour == 8 else hour % 3)
        for day in range(days)
        for hour in range(DAY_H)
    ]


def test_batches_are_whole_days() -> None:
    found = share_within(scenario(hours=12 * DAY_H), run_of(daily(12)), "throttled_share")
    assert found is not None
    assert found.warm_up_h == 0
    # 20 or 30 at the rush hour, and 0, 1, 2 by turns: 23 in the other hours.
    days = [(20 + 10 * (day % 2) + 22) / (100 * DAY_H) for day in range(12)]
    assert sum(daily(1)) == 20 + 22
    assert found.interval == mean_interval(days)


def test_a_warm_up_is_left_out_with_the_rest_of_its_day() -> None:
    counts = [100] * 30 + daily(14)
    found = share_within(scenario(hours=len(counts)), run_of(counts), "throttled_share")
    assert found is not None
    assert 30 <= found.warm_up_h < 30 + DAY_H
    assert (len(counts) - found.warm_up_h) % DAY_H == 0
    assert found.interval.largest < 0.05


def test_many_days_make_longer_batches() -> None:
    found = share_within(scenario(hours=70 * DAY_H), run_of(daily(70)), "throttled_share")
    assert found is not None
    assert found.interval.n == 23  # of three days each
    assert found.warm_up_h == DAY_H


@pytest.mark.parametrize("counts", [[], [0], daily(9), [*range(DAY_H * 20)]])
def test_a_run_that_is_too_short_or_never_settles_says_nothing(counts: list[int]) -> None:
    run = run_of(counts, attempts=1000)
    assert share_within(scenario(hours=len(counts) or 1), run, "throttled_share") is None


def test_hours_begun_or_ended_by_the_run_do_not_count() -> None:
    plain = share_within(scenario(hours=12 * DAY_H), run_of(daily(12)), "throttled_share")
    odd = run_of([100, *daily(12), 100], start_us=START_US - HOUR_US)
    odd = dataclasses.replace(odd, ended_at_us=START_US + 12 * DAY_H * HOUR_US + 1)
    late = scenario(hours=1, start_us=START_US - HOUR_US + 1, end_us=odd.ended_at_us)
    assert share_within(late, odd, "throttled_share") == plain
