"""Retries come out as in a cimba model of the same workload: another engine, other draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from tests.validation.test_second_opinions import check_means, retried_in_the_product

if TYPE_CHECKING:
    from tests.bench.user_cimba import Fleet

FIGURES = ("attempts", "delivered", "lost", "delay")
RATE_PER_S = 30


def fleet(*, devices: int, spread: bool) -> Fleet:
    # Only here: importing it takes a second and 200 MB, which collecting tests should not.
    from tests.bench import user_cimba

    return user_cimba.Fleet(devices=devices, spread=spread, jitter_s=5, rate_per_s=RATE_PER_S)


def check_retries(*, devices: int, hours: float, spread: bool, runs: int) -> None:
    ours = [
        retried_in_the_product(seed, devices=devices, hours=hours, spread=spread)
        for seed in range(runs)
    ]
    model = fleet(devices=devices, spread=spread)
    counted = [model.simulate(hours=hours, seed=seed) for seed in range(runs)]
    theirs = [
        {
            "attempts": one.attempts / one.messages,
            "delivered": one.accepted / one.messages,
            "lost": one.lost / one.messages,
            "delay": one.delay_s_sum / one.accepted,
        }
        for one in counted
    ]
    assert np.mean([one["attempts"] for one in theirs]) > 1.2, "retries matter"
    for figure in FIGURES:
        one, other = [[run[figure] for run in side] for side in (ours, theirs)]
        check_means(one, other, figure)
        # The whole law of the run's figure, as far as so many runs can tell.
        assert stats.ks_2samp(one, other).pvalue > 0.001, figure


def test_the_model_obeys_its_seed() -> None:
    model = fleet(devices=200, spread=False)
    first, again, other = (model.simulate(hours=0.05, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_retries_come_out_as_in_cimba() -> None:
    check_retries(devices=1_000, hours=0.05, spread=False, runs=8)


@pytest.mark.long
@pytest.mark.parametrize(
    ("devices", "spread"), [(500, False), (1_000, False), (1_900, True), (2_100, True)]
)
def test_retries_come_out_as_in_cimba_in_many_runs(devices: int, spread: bool) -> None:
    check_retries(devices=devices, hours=0.2, spread=spread, runs=20)
