"""Retries come out as in a cimba model of the same workload: another engine, other draws."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.validation.test_second_opinions import check_means, retried_in_the_product

FIGURES = ("attempts", "delivered", "lost", "delay")


# cimba wants to be the first in its process to compile anything.
_CHILD = """
import dataclasses, json, sys
from tests.bench.user_cimba import Fleet
asked = json.loads(sys.argv[1])
model = Fleet(devices=asked["devices"], spread=asked["spread"], jitter_s=5, rate_per_s=30)
runs = [model.simulate(hours=asked["hours"], seed=seed) for seed in asked["seeds"]]
print(json.dumps([dataclasses.asdict(run) for run in runs]))
"""
ROOT = Path(__file__).parent.parent.parent


def counted(*, devices: int, spread: bool, hours: float, seeds: list[int]) -> list[dict[str, Any]]:
    asked = {"devices": devices, "spread": spread, "hours": hours, "seeds": seeds}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(asked)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def check_retries(*, devices: int, hours: float, spread: bool, runs: int) -> None:
    ours = [
        retried_in_the_product(seed, devices=devices, hours=hours, spread=spread)
        for seed in range(runs)
    ]
    theirs = [
        {
            "attempts": one["attempts"] / one["messages"],
            "delivered": one["accepted"] / one["messages"],
            "lost": one["lost"] / one["messages"],
            "delay": one["delay_s_sum"] / one["accepted"],
        }
        for one in counted(devices=devices, spread=spread, hours=hours, seeds=list(range(runs)))
    ]
    assert np.mean([one["attempts"] for one in theirs]) > 1.2, "retries matter"
    for figure in FIGURES:
        one, other = [[run[figure] for run in side] for side in (ours, theirs)]
        check_means(one, other, figure)
        # The whole law of the run's figure, as far as so many runs can tell.
        assert stats.ks_2samp(one, other).pvalue > 0.001, figure


def test_the_model_obeys_its_seed() -> None:
    first, again, other = counted(devices=200, spread=False, hours=0.05, seeds=[1, 1, 2])
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
