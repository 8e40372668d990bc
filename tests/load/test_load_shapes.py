"""Schedules of loads: their laws, their shares, their bytes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loadtests import schedule as shapes
from loadtests.intended import schedule as intended
from loadtests.planning import FOR_MAX_S, Load, instants
from loadtests.rating_run import EVENTS_MAX
from scenarios.loader import load_scenario
from scenarios.new import ready_text
from vpg.catalogue.load import load_catalogue
from vpg.errors import UsageError
from vpg.rating.hourly import SERVICES
from vpg.timebase import SECOND_US


@given(rate=st.integers(1, 3_000), for_s=st.integers(1, 20))
def test_even_sends_have_even_gaps(rate: int, for_s: int) -> None:
    offsets = shapes.even(rate, for_s)
    assert len(offsets) == rate * for_s
    assert offsets[0] == 0
    assert offsets[-1] < for_s * SECOND_US
    gaps = np.diff(offsets)
    assert set(gaps.tolist()) <= {SECOND_US // rate, SECOND_US // rate + 1}


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 9)), min_size=1, max_size=6))
def test_each_step_has_its_own_rate(parts: list[tuple[int, int]]) -> None:
    offsets = shapes.steps(parts)
    edges = list(itertools.accumulate((s for _, s in parts), initial=0))
    for (rate, seconds), begin in zip(parts, edges, strict=False):
        inside = (offsets >= begin * SECOND_US) & (offsets < (begin + seconds) * SECOND_US)
        assert int(inside.sum()) == rate * seconds


def test_poisson_gaps_are_exponential_and_equal_seeds_are_equal() -> None:
    offsets = shapes.poisson(200, 100, 7)
    assert stats.kstest(np.diff(offsets) / SECOND_US, "expon", args=(0, 1 / 200)).pvalue > 0.001
    assert offsets.tolist() == shapes.poisson(200, 100, 7).tolist()
    assert offsets.tolist() != shapes.poisson(200, 100, 8).tolist()


def test_model_2_is_beta_3_4_over_its_time() -> None:
    offsets = shapes.model2(30_000, 10, 1)
    assert len(offsets) == 30_000
    assert stats.kstest(offsets / (10 * SECOND_US), "beta", args=(3, 4)).pvalue > 0.001


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 200)), min_size=2, max_size=6).filter(
        lambda pairs: any(rate for _, rate in pairs)
    )
)
def test_a_demand_curve_sends_its_area(pairs: list[tuple[int, int]]) -> None:
    seconds = list(itertools.accumulate(gap for gap, _ in pairs))
    points = [(float(at), float(rate)) for at, (_, rate) in zip(seconds, pairs, strict=True)]
    offsets = shapes.demand(points)
    assert abs(len(offsets) - shapes.demand_sends(points)) <= 1
    assert (np.diff(offsets) >= 0).all()
    for (begin, low), (end, high) in itertools.pairwise(points):
        inside = (offsets >= (begin - points[0][0]) * SECOND_US) & (
            offsets < (end - points[0][0]) * SECOND_US
        )
        assert abs(int(inside.sum()) - (end - begin) * (low + high) / 2) <= 2


@given(count=st.integers(0, 50), processes=st.integers(1, 7))
def test_shares_are_the_whole_once(count: int, processes: int) -> None:
    whole = shapes.spread(
        np.arange(count, dtype=np.int64),
        lines=3,
        services=("beam", "funk"),
        bytes_up=9,
        bytes_down=1,
    )
    shares = [whole.share(index, processes) for index in range(processes)]
    assert sorted(at for one in shares for at in one.offsets_us.tolist()) == list(range(count))
    again = shapes.unpacked(whole.packed())
    assert again.services.tolist() == whole.services.tolist()
    assert again.offsets_us.tolist() == whole.offsets_us.tolist()


def test_every_line_uses_every_service() -> None:
    whole = shapes.spread(
        shapes.even(60, 1), lines=4, services=("beam", "funnel"), bytes_up=1, bytes_down=0
    )
    pairs = set(zip(whole.lines.tolist(), whole.services.tolist(), strict=True))
    assert pairs == {(line, SERVICES.index(s)) for line in range(4) for s in ("beam", "funnel")}


def test_a_scenarios_sends_keep_their_instants_lines_and_bytes() -> None:
    scenario = load_scenario(ready_text("smallest"), catalogue=load_catalogue())
    sends = list(intended(scenario, scenario.start_us, scenario.start_us + 900 * SECOND_US))
    places = {("sensors", number): number for number in range(10)}
    whole = shapes.of_sends(sends, begin_us=scenario.start_us, speed=60, lines=places)
    assert len(whole) == len(sends) > 10
    assert whole.offsets_us.tolist() == [(s.intended_us - scenario.start_us) // 60 for s in sends]
    assert whole.lines.tolist() == [s.line for s in sends]
    assert whole.bytes_up.tolist() == [s.bytes_up for s in sends]
    fewer = shapes.of_sends(
        sends, begin_us=scenario.start_us, speed=1, lines={("sensors", 0): 0}, service="funk"
    )
    assert len(fewer) == sum(s.line == 0 for s in sends)
    assert set(fewer.services.tolist()) == {SERVICES.index("funk")}


@pytest.mark.parametrize(
    "load",
    [
        Load(kind="rating", rate_per_s=50_000, for_s=FOR_MAX_S),
        Load(kind="rating", rate_per_s=EVENTS_MAX // 100 // 10 + 1, for_s=10, batch=100),
        Load(kind="rating", law="steps", steps=((1, FOR_MAX_S), (1, 1))),
        Load(kind="rating", law="demand", points=((0.0, 1.0), (FOR_MAX_S + 1.0, 1.0))),
    ],
    ids=["requests", "events", "seconds of steps", "seconds of a curve"],
)
def test_a_load_has_bounds(load: Load) -> None:
    with pytest.raises(UsageError) as told:
        instants(load)
    assert told.value.problem.code == "VPG1911"
