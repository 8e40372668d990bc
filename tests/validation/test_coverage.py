"""Whether 95 % intervals hold the truth in 95 of 100 studies, by the product's own road.

The truth is Erlang's formula: a bucket of one request under Poisson arrivals is a loss system with
one server. A study is a sequence of replications; studies differ in their seed. Tolerances are the
binomial error of so many studies, and what R4 allows (91 to 98 of 100).
"""

from __future__ import annotations

import dataclasses

import pytest

from scenarios.model import Limiter
from sim import theory
from sim.replicate import replicate
from sim.sequence import narrow
from sim.stats import Interval, Until, mean_interval
from tests.support_sim import fleet, poisson, scenario, small_limits, vpg
from vpg.replications import value_of

LINES, RATE_PER_S, LOAD = 20, 10, 0.5
TRUTH = theory.erlang_b(1, LOAD)


def study(seed: int, *, replications: int, until: Until | None = None) -> Interval:
    """Return the interval of the refused share over replications of three minutes."""
    per_line_and_hour = LOAD * RATE_PER_S * 3600 / LINES
    one_place = vpg(limiter=Limiter(burst_requests=1))
    what = scenario(
        fleet("f", poisson(per_line_and_hour), lines=LINES), vpgs=(one_place,), hours=0.05
    )
    found = replicate(
        dataclasses.replace(what, seed=seed),
        small_limits(1000, RATE_PER_S),
        replications=replications,
        enough=None if until is None else narrow(until),
    )
    return mean_interval(value_of(row, "throttled_share") for row in found.rows)


def share_that_cover(found: list[Interval]) -> float:
    return sum(abs(one.mean - TRUTH) <= (one.half_width or 0) for one in found) / len(found)


def test_replications_of_a_known_queue_surround_its_truth() -> None:
    found = study(1, replications=12)
    assert found.half_width is not None
    assert found.half_width < 0.02
    assert found.mean == pytest.approx(TRUTH, abs=2 * found.half_width)


@pytest.mark.long
def test_intervals_over_replications_cover_the_truth() -> None:
    found = [study(seed, replications=8) for seed in range(500)]
    assert 0.925 <= share_that_cover(found) <= 0.975


@pytest.mark.long
def test_intervals_that_end_a_sequence_cover_the_truth_a_little_less_often() -> None:
    """Looking again after each replication costs coverage; the documents say how much."""
    until = Until(figure="throttled_share", half_width=0.008)
    found = [study(seed, replications=200, until=until) for seed in range(300)]
    assert all((one.half_width or 1) <= 0.008 for one in found)
    assert 0.85 <= share_that_cover(found) <= 0.96
