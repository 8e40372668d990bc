"""A run in bins: nothing is lost, gaps carry the right number, limits follow a resize."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reports.series import config_at, configs, delay_hours, fleet_lines, lines_bound, vpg_series
from scenarios.model import Growth, LineChange, Recreate
from tests.support_reports import (
    START_US,
    Gateway,
    Minute,
    crowded,
    fleet,
    meters,
    quiet,
    run,
    scenario,
    vpg,
)
from vpg.catalogue.load import load_catalogue
from vpg.rating.totals import limited
from vpg.timebase import HOUR_US, MINUTE_US

if TYPE_CHECKING:
    from vpg.results import RowKey

CATALOGUE = load_catalogue()


@pytest.mark.parametrize("hours", [1, 24, 48, 49, 744])
@pytest.mark.parametrize("make", [meters, quiet, crowded])
def test_bins_hold_exactly_what_the_rows_hold(hours: int, make: object) -> None:
    gateway = make(hours=hours)  # type: ignore[operator]
    story = scenario([gateway], hours)
    result = run(story, [gateway])
    series = vpg_series(story, CATALOGUE, result, gateway.vpg)
    assert series.width_us == (MINUTE_US if hours <= 48 else HOUR_US)
    assert series.bins == (hours * 60 if hours <= 48 else hours)
    for name in ("attempts", "accepted", "throttled"):
        assert sum(getattr(series, name)) == sum(limited(row, name) for row in result.rows)
    assert sum(series.refused) == sum(row.sessions_refused for row in result.rows)
    for name in ("rate_peak_per_s", "lines_peak", "ghosts_peak"):
        assert max(getattr(series, name)) == max(getattr(row, name) for row in result.rows)


def test_minutes_without_a_row_carry_the_sessions_that_held() -> None:
    minutes = {10: Minute(attach=50, lines=50), 70: Minute(lines=40), 75: Minute(lines=60)}
    gateway = Gateway(vpg=vpg(), minutes=minutes)
    story = scenario([gateway], 3)
    lines = vpg_series(story, CATALOGUE, run(story, [gateway]), gateway.vpg).lines_peak
    assert lines[:10] == (0,) * 10  # before the first session: what the first hour began with
    assert lines[10:70] == (50,) * 60  # over the hour's border: the rows know
    assert lines[70] == 40
    assert lines[71:75] == (40,) * 4  # inside an hour: the smaller neighbour
    assert lines[75:] == (60,) * 105  # to the end, with no row after


def test_a_resize_moves_the_limits_from_its_own_minute_on() -> None:
    gateway = quiet(hours=2)
    change = Recreate(at_us=START_US + 90 * MINUTE_US, vpg_id="osaka", type="C", size="large")
    story = scenario([gateway], 2, events=(change,))
    series = vpg_series(story, CATALOGUE, run(story, [gateway]), gateway.vpg)
    assert series.rate_limit == (30,) * 90 + (300,) * 30
    assert series.lines_limit == (1000,) * 90 + (10_000,) * 30
    known = configs(story, CATALOGUE, gateway.vpg)
    assert config_at(known, change.at_us - 1).size == "small"
    assert config_at(known, change.at_us).size == "large"
    assert config_at(known, 0).size == "small"


def test_a_vpg_has_no_limit_before_it_exists_and_after_it_is_gone() -> None:
    there = vpg(created_at_us=START_US + HOUR_US, deleted_at_us=START_US + 2 * HOUR_US)
    gateway = Gateway(vpg=there)
    story = scenario([gateway], 3)
    series = vpg_series(story, CATALOGUE, run(story, [gateway]), there)
    assert series.rate_limit == (None,) * 60 + (30,) * 60 + (None,) * 60


def test_delays_of_one_hour_are_merged_over_its_rows() -> None:
    gateway = quiet(hours=1)
    story = scenario([gateway], 1)
    result = run(story, [gateway])
    two: dict[RowKey, dict[int, int]] = {
        ("osaka", START_US, 0): {1: 99},
        ("osaka", START_US, 1): {200: 1},
    }
    (hour,) = delay_hours(replace(result, delays=two), "osaka")
    assert (hour.p50_us, hour.p99_us, hour.max_us) == (1, 1, 200)
    assert delay_hours(replace(result, delays={("osaka", START_US, 0): {}}), "osaka") == ()


def test_lines_grow_and_end_once() -> None:
    own = fleet()
    at = START_US + HOUR_US
    events = (
        Growth(at_us=at, fleet="meters", lines=200),
        LineChange(at_us=at, fleet="meters", first_line=0, lines=100, status="terminated"),
        LineChange(at_us=at, fleet="meters", first_line=50, lines=100, status="terminated"),
        LineChange(at_us=at, fleet="meters", first_line=500, lines=100, status="suspended"),
        LineChange(at_us=at, fleet="other", first_line=0, lines=9, status="terminated"),
        Growth(at_us=at + 1, fleet="meters", lines=9_000),
    )
    story = scenario([meters(hours=2)], 2, fleets=(own,), events=events)
    assert fleet_lines(story, own, at) == 1000
    assert fleet_lines(story, own, at + 1) == 1000 + 200 - 150
    assert lines_bound(story, "tokyo", at + 1) == 1050
    gone = replace(own, status="terminated")
    assert fleet_lines(story, gone, at + 1) == 200
