"""``vpg validate-engine`` itself: a right engine meets every law, and a wrong one is found out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from scipy import stats

from scenarios.model import Limiter
from sim.engine_check import judge
from sim.engine_check.cases import cases
from sim.engine_check.judge import LONG, SHORT, Size, check, least_covered
from sim.engine_check.limits import small_catalogue
from sim.run import BrokenRunError, simulate

if TYPE_CHECKING:
    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue
    from vpg.results import RunResult

SMALL = Size(long=False, studies=6, replications=3)
EVERY = cases(long=False)


def places(law: str) -> list[int]:
    """Return the places of the cases whose law begins so."""
    return [place for place, case in enumerate(EVERY) if case.law.startswith(law)]


def test_every_law_is_met_even_in_a_few_runs() -> None:
    rows = check(SMALL)
    assert [row for row in rows if not row.met] == []
    assert {(row.law, row.setting) for row in rows} == {(one.law, one.setting) for one in EVERY}
    chance = [row for row in rows if row.half_width is not None]
    assert {row.replications for row in chance} == {18}
    assert all(row.arrivals > 10_000 for row in chance)
    # With the seeds as they are; 95 of 100 are expected.
    assert 0.88 <= sum(row.covered for row in chance) / sum(row.studies for row in chance) <= 1


def test_the_answer_never_depends_on_workers_or_on_what_else_is_asked() -> None:
    size = Size(long=False, studies=2, replications=2)
    chosen = [*places("D/D/1"), *places("Engset")]
    told: list[tuple[int, int]] = []
    together = check(size, chosen=chosen, progress=lambda done, whole: told.append((done, whole)))
    assert check(size, chosen=chosen, workers=2) == together
    assert tuple(row for place in chosen for row in check(size, chosen=[place])) == together
    assert told == [(done, 7) for done in range(1, 8)]


def test_both_planes_give_the_same_answer() -> None:
    size = Size(long=False, studies=2, replications=2)
    chosen = [places(law)[0] for law in ("D/D/1", "M/D/1", "M/D/1/K", "M/D/1, work", "Engset")]
    reference, compiled = (
        check(size, chosen=chosen, engine=engine) for engine in ("reference", "compiled")
    )
    assert compiled == reference


def more_burst(what: Scenario, catalogue: Catalogue) -> tuple[Scenario, Catalogue]:
    """Let one request more through at once."""
    [gate] = what.vpgs
    limiter = gate.limiter
    assert isinstance(limiter, Limiter)
    assert limiter.burst_requests is not None
    bigger = dataclasses.replace(limiter, burst_requests=limiter.burst_requests + 1)
    return dataclasses.replace(what, vpgs=(dataclasses.replace(gate, limiter=bigger),)), catalogue


def more_room(what: Scenario, _catalogue: Catalogue) -> tuple[Scenario, Catalogue]:
    """Let one session more in than the cap of five."""
    return what, small_catalogue(lines_max=6, rate_per_s=1_000)


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        ("M/D/1", more_burst),  # and every law whose name begins so
        ("Erlang B", more_room),
        ("Engset", more_room),
    ],
)
def test_an_engine_off_by_one_is_found_out(
    law: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(what: Scenario, catalogue: Catalogue, **more: Any) -> RunResult:
        return simulate(*wrong(what, catalogue), **more)

    monkeypatch.setattr(judge, "simulate", off)
    rows = check(SMALL, chosen=places(law))
    assert rows
    assert [row for row in rows if row.met] == []


def test_exact_laws_are_missed_by_a_single_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(what: Scenario, catalogue: Catalogue, **more: Any) -> RunResult:
        result = simulate(what, catalogue, **more)
        [row] = result.rows
        one_more = dataclasses.replace(
            row, throttled_beam=row.throttled_beam + 1, pending_end=row.pending_end + 1
        )
        return dataclasses.replace(result, rows=(one_more,))

    monkeypatch.setattr(judge, "simulate", off)
    _, refused, left_open = check(SMALL, chosen=places("D/D/1"))
    assert (refused.met, refused.measured) == (False, refused.theory + 1)
    assert (left_open.met, left_open.measured) == (False, left_open.theory + 1)


def test_a_broken_run_misses_the_law_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(what: Scenario, catalogue: Catalogue, **more: Any) -> RunResult:
        result = simulate(what, catalogue, **more)
        if what.seed == EVERY[4].seed(1) and more["replication"] == 2:
            raise BrokenRunError("v: Little's law: 1 != 2", result)
        return result

    right = check(SMALL, chosen=[4])
    monkeypatch.setattr(judge, "simulate", broken)
    found = check(SMALL, chosen=[4])
    which = f"{EVERY[4].law}, {EVERY[4].setting}, seed {EVERY[4].seed(1)}, replication 2"
    assert [row.broken for row in found] == [(f"{which}: v: Little's law: 1 != 2",)] * 2
    assert [row.met for row in found] == [False, False]
    assert [row.measured for row in found] == [row.measured for row in right]


@pytest.mark.parametrize("studies", [1, 2, 6, 20, 50, 100, 500])
def test_the_least_covered_is_the_exact_binomial_bound(studies: int) -> None:
    least = least_covered(studies)
    assert (
        stats.binom.cdf(least - 1, studies, 0.95) <= 0.001 < stats.binom.cdf(least, studies, 0.95)
    )


@pytest.mark.parametrize("long", [False, True])
def test_cases_share_no_seed_and_hold_the_family(long: bool) -> None:
    every = cases(long=long)
    size = LONG if long else SHORT
    seeds = [case.seed(study) for case in every for study in range(size.studies)]
    assert len(set(seeds)) == len(seeds)
    laws = {case.law.partition(",")[0] for case in every}
    assert laws == {"D/D/1", "M/D/1", "M/D/1/K", "M/D/1/1", "Erlang B", "Engset"}
    assert {case.law for case in every} > {"M/D/1, work ≤ b", "M/D/1, b − 1 free"}


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_every_law_is_met_in_the_short_form() -> None:
    assert [row for row in check(SHORT, workers=2) if not row.met] == []
