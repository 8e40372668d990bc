"""The compiled plane is the reference plane: every figure of every scenario is the same."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scenarios.model import Limiter, PowerCut
from sim.plane.compiled import plane, vpg
from sim.plane.compiled.ahead import Ahead
from sim.plane.compiled.plane import CompiledPlane
from sim.run import simulate
from tests.support_random import Case, any_case, plain_case
from tests.support_scenario_file import kept_on_failure
from tests.support_sim import START_US, at, every, fixed, fleet, limits, scenario, small_limits
from tests.support_sim import vpg as vpg_of
from tests.support_steady import steady_case
from vpg.rating.hourly import NAMES, digest
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue
    from vpg.results import RunResult

BLOCK = 20
SHORT = 200
LONG = 2_000


def differences(one: RunResult, other: RunResult) -> list[str]:
    """Return what differs, cell by cell, the first few."""
    cells = [
        f"{a.vpg_id} {a.hour_start_us} {name}: {getattr(a, name)} != {getattr(b, name)}"
        for a, b in zip(one.rows, other.rows, strict=True)
        for name in NAMES
        if getattr(a, name) != getattr(b, name)
    ]
    if one.delays != other.delays:
        cells.append("delay histograms differ")
    return cells + [
        f"{a} != {b}" for a, b in zip(one.minutes, other.minutes, strict=True) if a != b
    ]


def check_planes(what: Scenario, catalogue: Catalogue) -> None:
    """Compare the two planes in every figure they give."""
    reference = simulate(what, catalogue, engine="reference")
    compiled = simulate(what, catalogue, engine="compiled")
    found = differences(reference, compiled)
    assert not found, f"{found[:9]} in {what!r}"
    assert digest(reference.rows) == digest(compiled.rows)
    assert reference.notes == compiled.notes
    assert len(reference.minutes) == len(compiled.minutes)


CASES = (any_case, any_case, plain_case, steady_case)


def check_block(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        case = CASES[seed % len(CASES)]
        with kept_on_failure(case, seed):
            check_planes(*case(seed))


@pytest.mark.parametrize("block", range(SHORT // BLOCK))
def test_same_figures(block: int) -> None:
    check_block(block)


@pytest.mark.long
@pytest.mark.parametrize("block", range(SHORT // BLOCK, LONG // BLOCK + 1))
def test_same_figures_of_many(block: int) -> None:
    check_block(block)


# ---- cases that once differed -------------------------------------------------------------------

ONCE: dict[str, Case] = {
    "a tick at the very instant of the idle timeout": (
        scenario(fleet("f", every(3600), lines=20), hours=4),
        limits(),
    ),
    "an hour in which lines only retry, inspected": (
        scenario(
            fleet("f", every(7200, phase="clock"), lines=60, retry=fixed(1800)),
            vpgs=(vpg_of(inspection=True, limiter=Limiter(burst_requests=1)),),
            hours=6,
            a16_idle_timeout_us=0,
        ),
        small_limits(1000, 1),
    ),
    "a VPG deleted at an hour tick": (
        scenario(
            fleet("f", every(60), lines=20, retry=fixed(60)),
            vpgs=(vpg_of(deleted_at_us=at(18_000)),),
            hours=8,
        ),
        small_limits(1000, 5),
    ),
    "retries of segments that were thrown away": (
        scenario(
            fleet(
                "f",
                every(3000, phase="uniform", jitter_us=2_900_000_000),
                lines=600,
                retry=fixed(700, jitter_ppm=300_000),
            ),
            vpgs=(vpg_of(limiter=Limiter(burst_requests=1)),),
            events=(PowerCut(at_us=at(32_410.5), until_us=at(46_800), fleets=("f",)),),
            hours=14,
            seed=0,
            a16_idle_timeout_us=7_000_000_000,
        ),
        limits(rate_per_s_c_small=1),
    ),
}


@pytest.mark.parametrize("name", ONCE)
def test_what_once_differed_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    what, catalogue = ONCE[name]
    check_planes(what, catalogue)
    alone = simulate(what, catalogue, engine="compiled")
    for workers, hours in ((2, 12), (2, 4), (3, 2)):
        monkeypatch.setattr(vpg, "SEGMENT_HOURS", hours)
        shared = simulate(what, catalogue, engine="compiled", workers=workers)
        assert not differences(alone, shared)


# ---- what must change nothing: workers, segments, cuts, hash seeds ------------------------------

WORKERS = (1, 2, 4)
FEW = range(16)
MANY = range(16, 334)
HOURS = 9


def long_case(seed: int) -> tuple[Scenario, Catalogue]:
    """Return a steady scenario of some hours, begun at a clock hour: segments need hours."""
    what, catalogue = steady_case(seed)
    return dataclasses.replace(
        what, start_us=START_US, end_us=START_US + HOURS * HOUR_US
    ), catalogue


def check_sharing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare runs on 1, 2 and 4 workers, with segments of other lengths, cut anywhere."""
    dice = random.Random(seed)
    what, catalogue = long_case(seed) if seed % 3 else any_case(seed)
    alone = simulate(what, catalogue, engine="compiled")
    for workers in WORKERS:
        monkeypatch.setattr(vpg, "SEGMENT_HOURS", dice.choice([1, 2, 3]))
        # With helpers, hours are computed ahead and must be asked for as a whole.
        piece_us = HOUR_US if workers > 1 else dice.randrange(1_000_000, 2 * HOUR_US)
        monkeypatch.setattr(CompiledPlane, "piece_us", piece_us)
        shared = simulate(what, catalogue, engine="compiled", workers=workers)
        found = differences(alone, shared)
        assert not found, f"{workers} workers, seed {seed}: {found[:9]}"
        assert digest(alone.rows) == digest(shared.rows)


@pytest.mark.parametrize("seed", FEW)
def test_workers_segments_and_cuts_change_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_sharing(seed, monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("seed", MANY)
def test_workers_segments_and_cuts_change_nothing_at_length(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_sharing(seed, monkeypatch)


@pytest.mark.parametrize(("every_s", "spliced", "rerun"), [(60, True, False), (30, False, True)])
def test_segments_are_spliced_or_run_again(
    every_s: int, spliced: bool, rerun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the limit segments meet within an hour; above it they never do."""
    seen: list[Ahead] = []

    class Watched(Ahead):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            seen.append(self)

    monkeypatch.setattr(plane, "Ahead", Watched)
    monkeypatch.setattr(vpg, "SEGMENT_HOURS", 2)
    ticks = every(every_s, phase="uniform", jitter_us=3_000_000)
    what = scenario(fleet("f", ticks, lines=200, retry=fixed(60)), hours=6)
    catalogue = small_limits(1000, 5)
    shared = simulate(what, catalogue, engine="compiled", workers=2)
    assert sum(ahead.spliced for ahead in seen) > 0 or not spliced
    assert (sum(ahead.rerun for ahead in seen) > 0) == rerun
    assert not differences(simulate(what, catalogue, engine="compiled"), shared)


def test_hash_seeds_change_nothing() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _DIGESTS],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "random")
    }
    assert len(digests) == 1
    assert len(digests.pop().split()) == 4


_DIGESTS = """
from sim.run import simulate
from tests.support_random import any_case
from tests.support_sim import START_US, at, every, fixed, fleet, limits, scenario, small_limits
from tests.support_sim import vpg as vpg_of
from tests.support_steady import steady_case
from vpg.rating.hourly import digest
for case, seed in ((any_case, 0), (any_case, 7), (steady_case, 3), (steady_case, 4)):
    print(digest(simulate(*case(seed), engine="compiled").rows))
"""
