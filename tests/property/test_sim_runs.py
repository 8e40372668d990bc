"""What holds in every run: nothing lost, nothing negative, nothing above a limit."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from scenarios.model import CarrierOutage, Growth, PowerCut, Recreate
from sim.run import simulate
from tests.support_random import any_case
from tests.support_sim import at, every, fleet, run, scenario, sums, vpg
from vpg.rating.hourly import LIMITED_SERVICES
from vpg.rating.totals import conservation, limited
from vpg.timebase import HOUR_US, MINUTE_US, SECOND_US, hour_start

if TYPE_CHECKING:
    from tests.support_random import Case
    from vpg.results import RunResult

SEEDS = range(60)
MANY = range(60, 1060)


@functools.lru_cache(maxsize=len(SEEDS))
def ran(seed: int) -> tuple[Case, RunResult]:
    what, catalogue = any_case(seed)
    return (what, catalogue), simulate(what, catalogue)


def check_whole(seed: int) -> None:
    (what, _), result = ran(seed)
    note = f"any_case({seed}): {what!r}"
    assert conservation(result.rows) == [], note
    for row in result.rows:
        numbers = {name: getattr(row, name) for name in row.__slots__}
        negative = [name for name, value in numbers.items() if isinstance(value, int) and value < 0]
        assert not negative, note
        assert row.sessions_start <= row.lines_peak >= row.sessions_end, note
        assert row.ghosts_peak <= row.lines_peak, note
        key = (row.vpg_id, row.hour_start_us, row.config_seq)
        assert sum(result.delays.get(key, {}).values()) == row.messages_delivered, note


def check_hours(seed: int) -> None:
    """Expect a row for each clock hour touched, in half-open intervals, and for no other."""
    (what, _), result = ran(seed)
    expected = set()
    for one in what.vpgs:
        begin_us = max(one.created_at_us, what.start_us)
        end_us = what.end_us if one.deleted_at_us is None else min(one.deleted_at_us, what.end_us)
        if begin_us < what.end_us:
            hours = range(hour_start(begin_us), max(end_us, begin_us + 1), HOUR_US)
            expected |= {(one.id, hour_us) for hour_us in hours}
    got = {(row.vpg_id, row.hour_start_us) for row in result.rows}
    assert got == expected, f"any_case({seed}): {what!r}"


def check_limits(seed: int) -> None:
    (what, catalogue), result = ran(seed)
    note = f"any_case({seed}): {what!r}"
    in_place = what.assumptions.a13_size_change == "in_place_free"
    resized = {event.vpg_id for event in what.events if isinstance(event, Recreate)}
    refuse = what.assumptions.a02_above_line_cap != "accept_and_flag"
    by_session = what.assumptions.a01_line_cap == "sessions"
    hard = what.assumptions.a03_above_rate != "accept_and_flag"
    limiters = {one.id: one.limiter for one in what.vpgs}
    for row in result.rows:
        cap = catalogue.limits(row.type, row.size, row.hour_start_us)
        assert cap.lines_max is not None, note
        assert cap.rate_per_s is not None, note
        if refuse and by_session and not (in_place and row.vpg_id in resized):
            assert row.lines_peak <= cap.lines_max, note
        if hard and row.vpg_id not in resized:
            limiter = limiters[row.vpg_id]
            burst = limiter.burst_requests or cap.rate_per_s
            burst = cap.rate_per_s if limiter.kind == "fixed_window" else burst
            most = burst + cap.rate_per_s * (HOUR_US // SECOND_US)
            if what.assumptions.a05_rate_shared == "each":
                most *= len(LIMITED_SERVICES)
            assert limited(row, "accepted") + limited(row, "failed_upstream") <= most, note


def check_minutes(seed: int) -> None:
    (what, _), result = ran(seed)
    note = f"any_case({seed}): {what!r}"
    if what.end_us % MINUTE_US:
        return  # see the last test of this file
    for one in what.vpgs:
        rows = [row for row in result.rows if row.vpg_id == one.id]
        minutes = [row for row in result.minutes if row.vpg_id == one.id]
        for name in ("attempts", "accepted", "throttled"):
            wanted = sum(limited(row, name) for row in rows)
            assert sum(getattr(row, name) for row in minutes) == wanted, note
        for name in ("attach_attempts", "sessions_refused"):
            wanted = sum(getattr(row, name) for row in rows)
            assert sum(getattr(row, name) for row in minutes) == wanted, note
        if rows:
            peak = max((row.rate_peak_per_s for row in minutes), default=0)
            assert peak == max(row.rate_peak_per_s for row in rows), note
        starts = [row.minute_start_us for row in minutes]
        assert starts == sorted(set(starts)), note
        for row in minutes:
            assert 0 <= row.busiest_second_us - row.minute_start_us < 60 * SECOND_US, note


CHECKS = (check_whole, check_hours, check_limits, check_minutes)


@pytest.mark.parametrize("check", CHECKS)
def test_holds_in_every_run(check: object) -> None:
    assert callable(check)
    for seed in SEEDS:
        check(seed)


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS)
def test_holds_in_many_more_runs(check: object) -> None:
    assert callable(check)
    for seed in MANY:
        check(seed)


# ---- lines that join late ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CarrierOutage, PowerCut])
def test_a_line_that_joins_in_the_dark_works_when_it_is_over(
    kind: type[CarrierOutage | PowerCut],
) -> None:
    dark = kind(at_us=at(100), until_us=at(200), fleets=("f",))
    # given: a line that joins by growth, or with its VPG, in the middle of an outage
    grown = scenario(
        fleet("f", every(10)), events=(dark, Growth(at_us=at(150), fleet="f", lines=1))
    )
    late = scenario(fleet("f", every(10)), vpgs=(vpg(created_at_us=at(150)),), events=(dark,))
    # then: afterwards it delivers a message every ten seconds
    for what, lines in ((grown, 2), (late, 1)):
        flows = sums(run(what))
        assert flows["messages_delivered"] >= lines * 340
        assert flows["sessions_end"] == lines


def test_a_run_that_ends_within_a_minute_reports_that_minute() -> None:
    # given: a message every ten seconds for 95 s
    result = run(scenario(fleet("f", every(10)), end_us=at(95)))
    # then: the minutes count all ten
    assert sum(row.attempts for row in result.minutes) == 10
