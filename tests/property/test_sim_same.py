"""What must not change a result: order of writing, cuts of the run, hash seeds, strangers."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scenarios.model import PowerCut
from sim.plane.reference import ReferencePlane
from sim.run import simulate
from tests.support_random import any_case, plain_case
from tests.support_sim import at, every, fixed, fleet, poisson, scenario, sec, trace, vpg
from vpg.rating.hourly import digest
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue
    from vpg.results import RunResult

SEEDS = range(25)
MANY = range(25, 425)


def same(one: RunResult, other: RunResult) -> bool:
    return (one.rows, one.delays, one.minutes) == (other.rows, other.delays, other.minutes)


def check_repeat(what: Scenario, catalogue: Catalogue) -> None:
    first, second = simulate(what, catalogue), simulate(what, catalogue)
    assert digest(first.rows) == digest(second.rows)
    assert same(first, second)
    assert first.notes == second.notes


def check_order(what: Scenario, catalogue: Catalogue) -> None:
    """Turn the VPGs and fleets in the file round: their order decides nothing."""
    turned = dataclasses.replace(what, vpgs=what.vpgs[::-1], fleets=what.fleets[::-1])
    assert same(simulate(what, catalogue), simulate(turned, catalogue)), repr(what)


def check_cuts(what: Scenario, catalogue: Catalogue) -> None:
    """However small the pieces in which the data plane is advanced, nothing moves."""
    whole = simulate(what, catalogue)
    kept = ReferencePlane.piece_us
    try:
        for slice_us in (sec(7.000003), sec(1799.5), 40 * HOUR_US):
            ReferencePlane.piece_us = slice_us
            assert same(whole, simulate(what, catalogue)), f"slices of {slice_us} us: {what!r}"
    finally:
        ReferencePlane.piece_us = kept


def check_stranger(what: Scenario, catalogue: Catalogue) -> None:
    """Add a busy fleet on a VPG of its own, before all others by name: no figure changes."""
    stranger = fleet("a", every(5, jitter_us=sec(5)), lines=9, vpg_id="a", retry=fixed(1, 3))
    more = dataclasses.replace(what, vpgs=(vpg("a"), *what.vpgs), fleets=(stranger, *what.fleets))
    both = simulate(more, catalogue)
    old = dataclasses.replace(
        both,
        rows=tuple(row for row in both.rows if row.vpg_id != "a"),
        delays={key: counts for key, counts in both.delays.items() if key[0] != "a"},
        minutes=tuple(row for row in both.minutes if row.vpg_id != "a"),
    )
    assert same(simulate(what, catalogue), old), repr(what)


CHECKS = (check_repeat, check_order, check_cuts, check_stranger)


@pytest.mark.parametrize("check", CHECKS)
def test_changes_nothing(check: Callable[[Scenario, Catalogue], None]) -> None:
    for seed in SEEDS:
        check(*any_case(seed))


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS)
def test_changes_nothing_in_many_more(check: Callable[[Scenario, Catalogue], None]) -> None:
    for seed in MANY:
        check(*any_case(seed))


def test_a_run_that_starts_an_hour_later_sees_the_same_messages() -> None:
    for seed in range(30):
        what, catalogue = plain_case(seed)
        if any(isinstance(event, PowerCut) for event in what.events):
            continue  # a device without power creates nothing, and the later run has no cut
        later = dataclasses.replace(what, start_us=what.start_us + HOUR_US, events=())
        second_hour = {
            row.vpg_id: row.messages_offered
            for row in simulate(what, catalogue).rows
            if row.hour_start_us == later.start_us
        }
        offered = {row.vpg_id: row.messages_offered for row in simulate(later, catalogue).rows}
        assert offered == second_hour, repr(what)


def test_another_seed_or_replication_is_another_run() -> None:
    what = scenario(fleet("f", poisson(20), lines=5))
    first = simulate(what, any_case(0)[1])
    assert not same(first, simulate(what, any_case(0)[1], replication=1))
    assert not same(first, simulate(dataclasses.replace(what, seed=2), any_case(0)[1]))


def test_a_shuffled_run_of_ties_is_the_same() -> None:
    """Let 40 lines of two fleets exceed the limit at one instant: by line, however written."""
    instants = [(10.0, line) for line in range(20)]
    results = []
    for seed in range(3):
        random.Random(seed).shuffle(instants)
        fleets = [
            fleet(name, trace(*instants), lines=20, retry=fixed(0.5, 2)) for name in ("b", "a")
        ]
        random.Random(seed).shuffle(fleets)
        results.append(simulate(scenario(*fleets, end_us=at(60)), any_case(1)[1]))
    assert same(results[0], results[1])
    assert same(results[0], results[2])


DIGESTS = """
from sim.run import simulate
from tests.support_random import any_case
from vpg.rating.hourly import digest
for seed in (3, 14, 15):
    print(digest(simulate(*any_case(seed)).rows))
"""


def test_the_hash_seed_decides_nothing() -> None:
    root = Path(__file__).parent.parent.parent
    here = [digest(simulate(*any_case(seed)).rows) for seed in (3, 14, 15)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", DIGESTS],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("0", "1", "random")
    ]
    for process in running:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert out.split() == here
