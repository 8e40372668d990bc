"""The compiled plane is the reference plane: every figure of every scenario is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sim.plane.compiled.plane import CompiledPlane
from sim.run import simulate
from tests.support_random import any_case, plain_case
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
        check_planes(*CASES[seed % len(CASES)](seed))


@pytest.mark.parametrize("block", range(SHORT // BLOCK))
def test_same_figures(block: int) -> None:
    check_block(block)


@pytest.mark.long
@pytest.mark.parametrize("block", range(SHORT // BLOCK, LONG // BLOCK + 1))
def test_same_figures_of_many(block: int) -> None:
    check_block(block)


@pytest.mark.parametrize("seed", range(12))
def test_cuts_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the pieces in which the plane is advanced, nothing moves."""
    what, catalogue = any_case(seed)
    whole = simulate(what, catalogue, engine="compiled")
    for piece_us in (7_000_003, 1_799_500_000, 40 * HOUR_US):
        monkeypatch.setattr(CompiledPlane, "piece_us", piece_us)
        cut = simulate(what, catalogue, engine="compiled")
        assert not differences(whole, cut), f"pieces of {piece_us} us: {what!r}"
