"""Intervals, batch means and the warm-up cut against SciPy, published tables and plain formulas."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sim.stats import (
    REPLICATIONS_MIN,
    Interval,
    Moments,
    Until,
    batch_means,
    mean_interval,
    mser5,
    t_quantile,
)
from vpg.errors import EnsureError

VALUES = st.lists(st.floats(-1e9, 1e9).map(lambda value: round(value, 3)), min_size=2, max_size=40)


# ---- Student -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freedom", "one_sided_975", "one_sided_95"),
    [
        (1, 12.706, 6.314),
        (2, 4.303, 2.920),
        (4, 2.776, 2.132),
        (9, 2.262, 1.833),
        (30, 2.042, 1.697),
        (120, 1.980, 1.658),
    ],
)
def test_quantiles_are_those_of_the_printed_tables(
    freedom: int, one_sided_975: float, one_sided_95: float
) -> None:
    """E. S. Pearson, H. O. Hartley, Biometrika Tables for Statisticians 1 (1966), table 12."""
    assert round(t_quantile(0.975, freedom), 3) == one_sided_975
    assert round(t_quantile(0.95, freedom), 3) == one_sided_95


@given(VALUES, st.sampled_from([0.8, 0.95, 0.99]))
def test_an_interval_is_the_one_of_scipy(values: list[float], confidence: float) -> None:
    found = mean_interval(values, confidence)
    if not statistics.stdev(values):
        assert found.half_width == 0
        return
    low, high = scipy.stats.t.interval(
        confidence,
        len(values) - 1,
        loc=statistics.fmean(values),
        scale=statistics.stdev(values) / math.sqrt(len(values)),
    )
    size = max(abs(value) for value in values) + 1
    assert found.half_width is not None
    assert found.mean - found.half_width == pytest.approx(low, abs=1e-9 * size, rel=1e-9)
    assert found.mean + found.half_width == pytest.approx(high, abs=1e-9 * size, rel=1e-9)
    assert (found.n, found.smallest, found.largest) == (len(values), min(values), max(values))


def test_a_worked_interval() -> None:
    """Five values, mean 3, variance 2.5: half width 2.776 × √(2.5 / 5)."""
    found = mean_interval([1, 2, 3, 4, 5])
    assert found.mean == 3
    assert found.half_width == pytest.approx(2.776 * math.sqrt(0.5), abs=0.001)


def test_equal_values_have_no_spread_and_one_value_has_none_to_tell() -> None:
    assert mean_interval([0.1] * 7).half_width == 0
    assert mean_interval([4]) == Interval(n=1, mean=4, half_width=None, smallest=4, largest=4)
    with pytest.raises(EnsureError, match="at least one value"):
        mean_interval([])


def test_values_one_by_one_say_the_same_as_all_at_once() -> None:
    values = [3.5, -1.25, 8.0, 8.0, 0.125]
    moments = Moments()
    for count, value in enumerate(values, 1):
        moments.add(value)
        assert moments.interval() == mean_interval(values[:count])


def test_a_small_spread_on_a_large_mean_is_not_lost() -> None:
    found = mean_interval([1e9 + value for value in (1, 2, 3, 4, 5)])
    assert found.half_width == mean_interval([1, 2, 3, 4, 5]).half_width


# ---- batch means ---------------------------------------------------------------------------------


def test_batches_are_equal_pieces_of_the_end() -> None:
    # 100 does not fit in and is left out; the batches are (0, 2), (4, 6), (8, 10).
    assert batch_means([100, 0, 2, 4, 6, 8, 10], 3) == mean_interval([1, 5, 9])


@pytest.mark.parametrize("batches", [0, 1, 4])
def test_batches_that_cannot_be_are_our_own_mistake(batches: int) -> None:
    with pytest.raises(EnsureError, match="batches"):
        batch_means([1, 2, 3], batches)


def autoregressive(studies: int, length: int, memory: float) -> np.ndarray:
    """Return rows of the series x' = ``memory`` x + normal, begun in its stationary state."""
    draws = np.random.default_rng(7).standard_normal((studies, length))
    rows = np.empty_like(draws)
    rows[:, 0] = draws[:, 0] / math.sqrt(1 - memory**2)
    for step in range(1, length):
        rows[:, step] = memory * rows[:, step - 1] + draws[:, step]
    return rows


def test_batch_means_cover_a_correlated_mean_and_plain_values_do_not() -> None:
    rows = autoregressive(studies=500, length=1000, memory=0.8)
    batched = [batch_means(row, 10) for row in rows]
    plain = [mean_interval(row) for row in rows]
    assert 0.925 <= covered(batched, 0.0) <= 0.965
    assert covered(plain, 0.0) < 0.6


def covered(found: list[Interval], truth: float) -> float:
    """Return the share of intervals that hold ``truth``."""
    return sum(abs(one.mean - truth) <= (one.half_width or 0) for one in found) / len(found)


# ---- warm-up -------------------------------------------------------------------------------------


def cuts_of_the_formula(values: list[Fraction]) -> set[int | None]:
    """Return the cuts of MSER-5 as it is written, those that rounding could not tell apart."""
    count = len(values) // 5
    means = [statistics.mean(values[5 * k : 5 * k + 5]) for k in range(count)]
    if count < 10:
        return {None}
    scores = {
        cut: sum((m - statistics.mean(means[cut:])) ** 2 for m in means[cut:]) / (count - cut) ** 2
        for cut in range(count - 4)
    }
    near = min(scores.values()) * (1 + Fraction(1, 10**9))
    best = [cut for cut, score in scores.items() if score <= near]
    return {5 * cut if 2 * cut <= count else None for cut in best}


@given(st.lists(st.integers(0, 50), max_size=120))
def test_the_cut_is_the_one_of_the_formula(values: list[int]) -> None:
    assert mser5(values) in cuts_of_the_formula([Fraction(value) for value in values])


def test_a_step_is_cut_where_it_is() -> None:
    steady = [0.0, 1.0, 0.0, 1.0, 1.0] * 90
    assert mser5([50.0] * 60 + steady) == 60
    assert mser5(steady) == 0
    # 58 belongs to the batch that begins at 55, so the whole batch goes.
    assert mser5([50.0] * 58 + steady) == 60


def test_a_series_that_never_settles_says_so() -> None:
    assert mser5([float(step) for step in range(500)]) is None
    assert mser5([0.0] * 300 + [1.0] * 200) is None


def test_too_few_values_say_nothing_and_constant_ones_have_no_warm_up() -> None:
    assert mser5([1.0] * 49) is None
    assert mser5([1.0] * 50) == 0


def test_the_transient_of_a_queue_is_cut_after_it_has_drained() -> None:
    """M/M/1 at load 0.5 with 100 services of work at the start: gone after about 100 customers.

    Each customer brings 1 and 2 go by before the next, so the work falls by 1 a customer.
    """
    draws = np.random.default_rng(11)
    falls = draws.exponential(2, (2000, 200)) - draws.exponential(1, (2000, 200))
    waits = [np.full(200, 100.0)]
    for fall in falls:
        waits.append(np.maximum(0.0, waits[-1] - fall))
    cut = mser5([float(customers.mean()) for customers in waits])
    assert cut is not None
    assert 100 <= cut <= 180  # the slowest tenth needs 130
    kept = mean_interval([float(customers.mean()) for customers in np.array(waits[cut:]).T])
    assert kept.mean == pytest.approx(1.0, abs=0.03)  # load / (1 - load) services
    assert mean_interval([float(w.mean()) for w in waits]).mean > 3


# ---- when to stop --------------------------------------------------------------------------------


def interval(n: int, mean: float, half_width: float | None) -> Interval:
    return Interval(n=n, mean=mean, half_width=half_width, smallest=0, largest=1)


@pytest.mark.parametrize(
    ("relative", "mean", "half_width", "reached"),
    [
        (False, 0.5, 0.010, True),
        (False, 0.5, 0.011, False),
        (True, 200.0, 2.0, True),
        (True, -200.0, 2.0, True),
        (True, 200.0, 2.1, False),
        (True, 0.0, 0.0, True),
        (True, 0.0, 0.1, False),
    ],
)
def test_narrow_enough(*, relative: bool, mean: float, half_width: float, reached: bool) -> None:
    until = Until(figure="accepted_share", half_width=0.01, relative=relative)
    assert until.reached(interval(REPLICATIONS_MIN, mean, half_width)) is reached
    assert not until.reached(interval(REPLICATIONS_MIN - 1, mean, half_width))
    assert not until.reached(interval(1, mean, None))
