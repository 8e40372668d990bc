"""Run every system again and again, and say of each law whether the engine meets it.

Owns: studies, their intervals, how many of them hold the truth, the verdict. Does not own: systems
and laws (``cases``), the simulator (``sim.run``), who computes (``sim.pool``).

A *study* is what a user would do once: some replications and their 95 % interval. Studies differ in
their seed. A law is met when, of n studies, no fewer than ``least_covered(n)`` intervals hold the
theory's value, and the interval of all replications together, made so wide that it misses the truth
once in ten thousand times, holds it too. Seeds are fixed: the same answer every time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.engine_check.cases import cases
from sim.engine_check.measures import total
from sim.engine_check.systems import MEASURED_FROM_US
from sim.pool import Local, work
from sim.run import BrokenRunError, simulate
from sim.stats import CONFIDENCE, mean_interval
from vpg.errors import ensure
from vpg.laws import LawRow, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sim.control import Progress
    from sim.engine_check.cases import Case, Figure
    from sim.run import Engine

RISK = 0.001
"""How often right intervals may be called wrong, for one figure."""
CONFIDENCE_OF_ALL = 0.9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is run."""

    long: bool
    studies: int
    replications: int
    """Of each study."""


SHORT = Size(long=False, studies=20, replications=5)
LONG = Size(long=True, studies=50, replications=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What the replications of one study came to."""

    task: int
    values: tuple[tuple[float, ...], ...]
    """For each figure of the case, one value for each replication."""
    arrivals: int
    broken: tuple[str, ...]


def least_covered(studies: int) -> int:
    """Return how many of so many 95 % intervals hold the truth, all but once in a thousand times.

    The exact binomial bound: the largest k with P(fewer than k) ≤ 0.001.

    >>> [least_covered(n) for n in (1, 20, 50, 500)]
    [0, 15, 42, 459]
    """
    below = 0.0
    for k in range(studies + 1):
        below += math.comb(studies, k) * CONFIDENCE**k * (1 - CONFIDENCE) ** (studies - k)
        if below > RISK:
            return k
    return studies


def check(
    size: Size,
    *,
    workers: int = 1,
    engine: Engine = "auto",
    progress: Callable[[int, int], None] | None = None,
    chosen: Sequence[int] | None = None,
) -> tuple[LawRow, ...]:
    """Return a row for each figure of every case, or of the cases ``chosen`` by their places.

    ``progress`` is told how many studies of how many are finished.
    """
    every = cases(long=size.long)
    places = range(len(every)) if chosen is None else chosen
    plan = _Plan([task for place in places for task in _tasks(size, place)], progress)
    work(
        _Job(size=size, engine=engine),
        plan,
        Local(workers=workers),
        most=len(plan.asked),
        show=lambda _: None,
        stop=lambda: False,
    )
    rows: list[LawRow] = []
    for place in places:
        studies = [plan.found[task] for task in _tasks(size, place)]
        for nth, figure in enumerate(every[place].figures):
            rows.append(_row(every[place], figure, nth, studies))
    return tuple(rows)


def _tasks(size: Size, place: int) -> range:
    """Return the tasks of the case in ``place``; an exact one needs a single study."""
    begin = place * size.studies
    exact = cases(long=size.long)[place].exact
    return range(begin, begin + (1 if exact else size.studies))


class _Plan:
    """Every study once, in order."""

    def __init__(self, asked: Sequence[int], progress: Callable[[int, int], None] | None) -> None:
        self.asked = asked
        self.found: dict[int, Study] = {}
        self._begun = 0
        self._tell = progress or (lambda _done, _of: None)

    @property
    def is_over(self) -> bool:
        return len(self.found) == len(self.asked)

    def next(self) -> int | None:
        if self._begun == len(self.asked):
            return None
        self._begun += 1
        return self.asked[self._begun - 1]

    def take(self, row: Study) -> None:
        self.found[row.task] = row
        self._tell(len(self.found), len(self.asked))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """All studies of one size."""

    size: Size
    engine: Engine

    def files(self) -> dict[str, bytes]:
        return {}

    def at(self, _folder: Path) -> _Job:
        return self

    def run(
        self,
        task: int,
        *,
        progress: Callable[[Progress], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Study | None:
        del progress
        place, nth = divmod(task, self.size.studies)
        case = cases(long=self.size.long)[place]
        values: list[list[float]] = [[] for _ in case.figures]
        arrivals = 0
        broken: list[str] = []
        scenario = case.scenario(case.seed(nth))
        for replication in range(1 if case.exact else self.size.replications):
            if stop is not None and stop():
                return None
            try:
                result = simulate(
                    scenario, case.catalogue, replication=replication, engine=self.engine
                )
            except BrokenRunError as found:
                result = found.result
                which = f"{case.law}, {case.setting}, seed {scenario.seed}"
                broken.append(f"{which}, replication {replication}: {found}")
            for figure, measured in zip(case.figures, values, strict=True):
                measured.append(figure.measure(result, MEASURED_FROM_US))
            arrivals += total(result, case.arrivals, MEASURED_FROM_US)
        return Study(
            task=task,
            values=tuple(tuple(one) for one in values),
            arrivals=arrivals,
            broken=tuple(broken),
        )


def _row(case: Case, figure: Figure, nth: int, studies: Sequence[Study]) -> LawRow:
    values = [value for study in studies for value in study.values[nth]]
    broken = tuple(fact for study in studies for fact in study.broken)
    whole = mean_interval(values)
    covered = covered_min = 0
    if case.exact:
        met = values == [figure.theory]
    else:
        covered = sum(_holds(study.values[nth], figure.theory, CONFIDENCE) for study in studies)
        covered_min = least_covered(len(studies))
        met = covered >= covered_min and _holds(values, figure.theory, CONFIDENCE_OF_ALL)
    return LawRow(
        law=case.law,
        setting=case.setting,
        figure=figure.name,
        theory=rounded(figure.theory),
        measured=rounded(whole.mean),
        half_width=None if whole.half_width is None else rounded(whole.half_width),
        replications=len(values),
        studies=0 if case.exact else len(studies),
        covered=covered,
        covered_min=covered_min,
        arrivals=sum(study.arrivals for study in studies),
        broken=broken,
        met=met and not broken,
    )


def _holds(values: Sequence[float], truth: float, confidence: float) -> bool:
    found = mean_interval(values, confidence)
    ensure(found.half_width is not None, "a study has two replications or more")
    return abs(found.mean - truth) <= (found.half_width or 0.0)
