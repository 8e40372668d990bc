"""Arrivals and their laws: what is drawn has the law it claims, in every hour and from any hour on.

Draws are fixed by their seed, so the statistics are too: a p-value below 0.001 is a wrong law and
not bad luck.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scenarios.model import Burst, DemandCurve, Payload, Reporting
from sim.traffic import draws, laws, payloads
from sim.traffic.arrivals import Stream
from tests.support_sim import FIVE, START_US, TEN, at, every, fleet, poisson, sec, trace
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    import numpy.typing as npt

    from scenarios.model import Source
    from sim.traffic.arrivals import Batch

WORD = st.integers(0, 2**64 - 1)
UNLIKELY = 0.001
MANY = 20_000


def words(count: int = MANY, purpose: int = 4, index: int = 0) -> tuple[Any, ...]:
    lines = np.arange(count, dtype=np.uint64)
    key = draws.stream_key(7, 0, "laws")
    return draws.words_of(key, lines, purpose, np.zeros(1, np.uint64), None, index)


def batches(source: Source, lines: int, hours: int, first: int = 0, **keys: Any) -> list[Batch]:
    given_keys: dict[str, Any] = {"seed": 1, "replication": 0} | keys
    stream = Stream(fleet=fleet("f", source, lines=lines), source=source, **given_keys)
    return [stream.hour(START_US + hour * HOUR_US, lines) for hour in range(first, first + hours)]


def column(found: list[Batch], name: str) -> npt.NDArray[np.int64]:
    return np.concatenate([getattr(batch, name) for batch in found])


# ---- the generator -------------------------------------------------------------------------------


@given(key=WORD, line=WORD, where=WORD, message=WORD, attempt=WORD)
def test_draws_are_numpys_philox_bit_for_bit(
    key: int, line: int, where: int, message: int, attempt: int
) -> None:
    # given: the generator that the docstring names, begun at the same place
    begun = np.array([0, where, message, attempt], np.uint64)
    reference = np.random.Philox(key=np.array([key, line], np.uint64), counter=begun)
    expected = reference.random_raw(8).tolist()
    # then: scalar draws, one block in plain integers and arrays of blocks all agree with it
    assert draws.Draws(key).words(line, where, message, attempt) == expected[:4]
    assert [*draws.block(1, where, message, attempt, key, line)] == expected[:4]
    one = [np.array([value], np.uint64) for value in (line, message, attempt)]
    for index in (0, 1):
        block = draws.words_of(key, one[0], where, one[1], one[2], index)
        assert [int(word[0]) for word in block] == expected[4 * index : 4 * index + 4]


def test_a_draw_does_not_depend_on_the_draws_before_it() -> None:
    source = draws.Draws(5)
    first = source.words(1, 2, 3, 4)
    source.words(9, 9, 9, 9)
    assert source.words(1, 2, 3, 4) == first


def test_no_two_purposes_sources_or_fleets_share_draws() -> None:
    places = {draws.place(purpose, name) for purpose in draws.Purpose for name in ("", "a", "b")}
    assert len(places) == 3 * len(draws.Purpose)
    assert len({draws.stream_key(s, r, f) for s in (0, 1) for r in (0, 1) for f in "ab"}) == 8


# ---- laws ----------------------------------------------------------------------------------------


@given(word=WORD, bound=st.integers(1, 2**62))
def test_below_is_the_exact_share_of_the_bound(word: int, bound: int) -> None:
    many = laws.below_many(np.array([word], np.uint64), bound)
    assert laws.below(word, bound) == many[0] == word * bound // 2**64


def test_uniform_values_are_uniform() -> None:
    drawn = laws.below_many(words()[0], 10**9) / 1e9
    assert stats.kstest(drawn, "uniform").pvalue > UNLIKELY


def test_beta34_is_the_beta_law() -> None:
    six = np.column_stack((*words(), *words(index=1)[:2]))
    drawn = laws.beta34_many(six, 10**9)
    assert stats.kstest(drawn / 1e9, stats.beta(3, 4).cdf).pvalue > UNLIKELY
    row = tuple(int(word) for word in six[0])
    assert laws.beta34(row, 10**9) == drawn[0]


def test_exponential_is_the_exponential_law() -> None:
    first, second, *_ = words()
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    drawn = np.array([laws.exponential(one, two, 10**9) for one, two in pairs])
    assert stats.kstest(drawn / 1e9, "expon").pvalue > UNLIKELY
    # and its ends are sane
    assert laws.exponential(2**64 - 1, 0, 10**9) == 0
    assert 64 * 0.69 * 10**9 < laws.exponential(0, 2**64 - 1, 10**9) < 66 * 0.7 * 10**9


@pytest.mark.parametrize("mean", [0.001, 0.4, 3.7, 250.0])
def test_poisson_counts_have_the_poisson_law(mean: float) -> None:
    micro = round(mean * 1_000_000)
    thresholds = laws.poisson_thresholds(micro)
    expected = stats.poisson(mean).cdf(np.arange(len(thresholds)))
    assert np.allclose(thresholds / 2.0**64, expected, rtol=0, atol=1e-12)
    counts = laws.poisson_many(words()[0], micro)
    low, high = counts.min(), counts.max()
    seen = np.bincount(counts - low)
    wanted = stats.poisson(mean).pmf(np.arange(low, high + 1)) * MANY
    enough = wanted >= 5
    if enough.sum() > 1:
        rest = (seen[~enough].sum(), MANY - wanted[enough].sum())
        observed = np.append(seen[enough], rest[0])
        target = np.append(wanted[enough], rest[1])
        keep = target > 0
        statistic = ((observed[keep] - target[keep]) ** 2 / target[keep]).sum()
        assert stats.chi2.sf(statistic, keep.sum() - 1) > UNLIKELY


def test_pareto_sizes_have_the_cut_pareto_law() -> None:
    payload = Payload(kind="pareto", low_bytes=20, high_bytes=200, shape_milli=2500)
    drawn = payloads.sizes(payload, words()[0])
    assert drawn.min() >= 20
    assert drawn.max() == 200
    for size in range(20, 200):
        # P(size <= x) in whole bytes is that of the Pareto law below x + 1.
        share = stats.pareto(2.5, scale=20).cdf(size + 1)
        assert abs((drawn <= size).mean() - share) < 4 * np.sqrt(share * (1 - share) / MANY) + 1e-9


def test_uniform_and_chosen_sizes_cover_exactly_what_they_may() -> None:
    uniform = payloads.sizes(Payload(kind="uniform", low_bytes=3, high_bytes=7), words()[0])
    assert stats.chisquare(np.bincount(uniform)[3:8]).pvalue > UNLIKELY
    assert set(uniform.tolist()) == {3, 4, 5, 6, 7}
    chosen = payloads.sizes(Payload(kind="choice", choices=((9, 1), (5, 3))), words()[0])
    seen = [int((chosen == 9).sum()), int((chosen == 5).sum())]
    assert stats.chisquare(seen, [MANY / 4, MANY * 3 / 4]).pvalue > UNLIKELY


# ---- arrivals ------------------------------------------------------------------------------------

SOURCES: tuple[Source, ...] = (
    every(600),
    every(7.000003, phase="uniform"),
    every(600, phase="clock", offset_us=sec(1), jitter_us=sec(5400)),
    every(5400, phase="uniform", jitter_us=sec(10)),
    poisson(12),
    Burst(name="b", service="beam", up=TEN, down=FIVE, at_us=at(3000), over_us=sec(9000),
          shape="beta34", repeat_us=sec(1700)),
    Reporting(name="r", service="beam", up=TEN, down=FIVE,
              intervals=((sec(60), 1), (sec(7200), 4))),
    DemandCurve(name="d", service="beam", up=TEN, down=FIVE,
                begins_us=(at(600), at(5400)), ends_us=(at(4200), at(9000)),
                micro_messages=(400_000_000, 40_000_000)),
    trace((0, 1), (3599.999999, 0), (3600, 2), (3600, 2), (9000, 1)),
)  # fmt: skip


def names_of(source: Source) -> str:
    return f"{type(source).__name__}-{source.name}"


@pytest.mark.parametrize("source", SOURCES, ids=names_of)
def test_hours_hold_their_own_messages_each_once(source: Source) -> None:
    lines, hours = 7, 5
    found = batches(source, lines, hours)
    for hour, batch in enumerate(found):
        begin_us = START_US + hour * HOUR_US
        assert ((batch.times_us >= begin_us) & (batch.times_us < begin_us + HOUR_US)).all()
        assert ((batch.lines >= 0) & (batch.lines < lines)).all()
    known = list(
        zip(column(found, "lines").tolist(), column(found, "numbers").tolist(), strict=True)
    )
    assert len(known) == len(set(known)), "a message is known by its line, source and number"


@pytest.mark.parametrize("source", SOURCES, ids=names_of)
def test_an_hour_needs_no_hour_before_it(source: Source) -> None:
    whole = batches(source, 7, 4)
    for hour in (3, 1):
        (alone,) = batches(source, 7, 1, first=hour)
        for name in ("lines", "times_us", "numbers", "bytes_up", "bytes_down"):
            assert (getattr(alone, name) == getattr(whole[hour], name)).all()


@pytest.mark.parametrize("source", SOURCES[:-1], ids=names_of)
def test_lines_that_join_move_no_message_of_the_others(source: Source) -> None:
    shared = dataclasses.replace(source, share_ppm=600_000)
    stream = Stream(seed=1, replication=0, fleet=fleet("f", lines=7), source=shared)
    few = [stream.hour(START_US + hour * HOUR_US, 7) for hour in range(3)]
    many = [stream.hour(START_US + hour * HOUR_US, 50) for hour in range(3)]
    for before, after in zip(few, many, strict=True):
        old = after.lines < 7
        for name in ("lines", "times_us", "numbers", "bytes_up", "bytes_down"):
            assert sorted(getattr(after, name)[old].tolist()) == sorted(
                getattr(before, name).tolist()
            )


@pytest.mark.parametrize("jitter_s", [0, 0.000002, 10, 5400, 86400])
def test_jitter_neither_loses_nor_doubles_a_tick(jitter_s: float) -> None:
    # given: 30 lines on the clock each 600 s, moved by up to many hours
    source = every(600, phase="clock", jitter_us=sec(jitter_s))
    found = batches(source, 30, 60)
    numbers = column(found, "numbers")
    # then: every tick far enough from both ends is there exactly once a line, at its place
    first, last = START_US // sec(600), (START_US + 30 * HOUR_US) // sec(600)
    inside = (numbers >= first) & (numbers < last)
    assert inside.sum() == (last - first) * 30
    moved_us = column(found, "times_us") - numbers * sec(600)
    assert (moved_us >= 0).all()
    assert (moved_us < max(1, sec(jitter_s))).all()


def test_even_phases_are_even() -> None:
    found = batches(every(600), 600, 1)
    assert np.diff(np.sort(column(found, "times_us"))).tolist() == [sec(1)] * 3599


def test_poisson_arrivals_have_poisson_counts_at_uniform_places() -> None:
    found = batches(poisson(4), 2000, 3)
    times_us = column(found, "times_us")
    assert abs(len(times_us) - 24_000) < 4 * np.sqrt(24_000)
    assert stats.kstest((times_us - START_US) / (3 * HOUR_US), "uniform").pvalue > UNLIKELY
    # and no line knows of another: counts a line are Poisson too
    counts = np.bincount(column(found, "lines"), minlength=2000)
    assert 0.9 < counts.var() / counts.mean() < 1.1


def test_a_burst_is_one_message_a_line() -> None:
    base: dict[str, Any] = {"name": "b", "service": "beam", "up": TEN, "down": FIVE}
    shapes: tuple[tuple[Any, Any], ...] = (
        ("uniform", stats.uniform().cdf),
        ("beta34", stats.beta(3, 4).cdf),
    )
    for shape, law in shapes:
        source = Burst(at_us=at(1800), over_us=sec(7200), shape=shape, **base)
        found = batches(source, 5000, 4)
        assert sorted(column(found, "lines").tolist()) == list(range(5000))
        spread = (column(found, "times_us") - at(1800)) / sec(7200)
        assert stats.kstest(spread, law).pvalue > UNLIKELY


def test_reporting_intervals_split_by_weight_and_repeat_exactly() -> None:
    # given: TR 45.820's split of report intervals (24 h 40 %, 2 h 40 %, 1 h 15 %, 30 min 5 %)
    split = ((sec(86400), 40), (sec(7200), 40), (sec(3600), 15), (sec(1800), 5))
    source = Reporting(name="r", service="beam", up=TEN, down=FIVE, intervals=split)
    found = batches(source, 4000, 24)
    counts = np.bincount(column(found, "lines"), minlength=4000)
    seen = [int((counts == each).sum()) for each in (1, 12, 24, 48)]
    assert sum(seen) == 4000
    assert stats.chisquare(seen, [1600, 1600, 600, 200]).pvalue > UNLIKELY


def test_a_demand_curve_is_met_on_average_in_each_interval() -> None:
    begins = tuple(at(1800 * i) for i in range(8))
    micro = tuple(1_000_000 * n for n in (0, 4000, 1, 2500, 0, 9000, 100, 3000))
    source = DemandCurve(
        name="d", service="beam", up=TEN, down=FIVE,
        begins_us=begins, ends_us=(*begins[1:], at(14400)), micro_messages=micro,
    )  # fmt: skip
    times_us = column(batches(source, 50, 4), "times_us")
    seen, _ = np.histogram(times_us, bins=[*begins, at(14400)])
    for got, wanted in zip(seen.tolist(), micro, strict=True):
        mean = wanted / 1_000_000
        assert abs(got - mean) <= 4 * np.sqrt(mean) + 0.5


def test_a_trace_is_replayed_exactly() -> None:
    source = dataclasses.replace(
        trace((0, 1), (3599.999999, 0), (3600, 2), (9000, 1), (9000, 5)),
        bytes_up=(1, 2, 3, 4, 5),
        bytes_down=(9, 8, 7, 6, 5),
    )
    found = batches(source, 3, 3)
    # line 5 does not exist
    assert column(found, "times_us").tolist() == list(source.times_us[:4])
    assert column(found, "lines").tolist() == [1, 0, 2, 1]
    assert column(found, "bytes_up").tolist() == [1, 2, 3, 4]
    assert column(found, "bytes_down").tolist() == [9, 8, 7, 6]
    assert [len(batch.lines) for batch in found] == [2, 1, 1]
