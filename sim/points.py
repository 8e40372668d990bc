"""The points of a sweep: one run of one, all of them as a plan of work, and the row of each.

Owns: what a run comes to, which run is next, what the replications of a point say together. Does
not own: the grid (``sim.sweep``), who computes (``sim.pool``) or where finished runs are kept. All
points draw the same in the same number of a replication, so they may be compared run by run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from scenarios.objectives import judge, measure
from sim.pool import LostTaskError, work
from sim.replicate import account
from sim.run import simulate
from sim.sequence import Replications, narrow
from sim.stats import mean_interval
from vpg.errors import EnsureError, Problem
from vpg.rating.hourly import SERVICES, digest
from vpg.replications import FIGURES, SHARES, value_of
from vpg.sweeps import Estimate, Figures, PointRow, RunRow, points
from vpg.sweepwork import SweepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from scenarios.model import Scenario
    from sim.control import Progress
    from sim.pool import Team
    from sim.stats import Until
    from sim.sweep import Sweep
    from vpg.catalogue.model import Catalogue
    from vpg.replications import FigureName
    from vpg.sweeps import PointVerdict

Task = tuple[int, tuple[str, ...], int]
"""Number and values of a point, number of the replication."""
_PPM = 1_000_000
_DIGITS = 3
_THOUSAND = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far a sweep is, in thousandths of runs (read like the simulator's own progress)."""

    at_us: int
    start_us: int
    end_us: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How often each point is run."""

    replications: int = 1
    until: Until | None = None
    """Fewer are enough once the interval is that narrow, point by point."""


# ---- one run -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PointJob:
    """One sweep; the scenario of the last point is kept for its other replications."""

    sweep: Sweep
    catalogue: Catalogue
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    """The files of the sweep, for where there is no common disk; ``sweep.scenario`` among them."""
    _last: dict[tuple[str, ...], Scenario] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def files(self) -> Mapping[str, bytes]:
        """Return the files of the sweep by name."""
        return self.inputs

    def at(self, folder: Path) -> PointJob:
        """Return the same job that reads its files in ``folder``."""
        moved = replace(self.sweep, scenario=folder / self.sweep.scenario.name)
        return PointJob(sweep=moved, catalogue=self.catalogue)

    def run(
        self,
        task: Task,
        *,
        progress: Callable[[Progress], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> RunRow | None:
        """Return what one run of one point comes to; None when ``stop`` ended it early."""
        point, values, replication = task
        scenario = self._last.get(values)
        if scenario is None:
            self._last.clear()
            scenario = self._last[values] = self.sweep.load(self.catalogue, values)
        try:
            result = simulate(
                scenario, self.catalogue, progress=progress, stop=stop, replication=replication
            )
        except EnsureError as broken:
            # The result that some carry stays here: it is large, and the numbers find it again.
            where = f"point {point} ({', '.join(values)}), replication {replication}"
            raise EnsureError(f"{where}: {broken}") from None
        if result.status == "partial" and stop is not None and stop():
            return None
        whole, bill = account(scenario, self.catalogue, result)
        verdict: PointVerdict = "holds" if scenario.objectives else "no_objectives"
        if not all(one.met for one in judge(scenario, whole, bill)):
            verdict = "fails"
        return RunRow(
            point=point,
            values=values,
            replication=replication,
            accepted_share_ppm=measure("accepted_ppm_min", whole, whole, bill),
            throttled_ppm=measure("throttled_ppm_max", whole, whole, bill),
            refused_attach_ppm=measure("refused_attach_ppm_max", whole, whole, bill),
            delay_us_p50=whole.delay_us_p50,
            delay_us_p99=whole.delay_us_p99,
            delay_us_max=whole.delay_us_max,
            rate_peak_per_s=whole.rate_peak_per_s,
            lines_peak=whole.lines_peak,
            attempts=sum(int(getattr(whole, f"attempts_{service}")) for service in SERVICES),
            attempts_limited=whole.attempts_limited,
            throttled_limited=whole.throttled_limited,
            attach_attempts=whole.attach_attempts,
            sessions_refused=whole.sessions_refused,
            messages_offered=whole.messages_offered,
            messages_delivered=whole.messages_delivered,
            messages_lost=whole.messages_lost,
            messages_pending=whole.pending_end,
            charges_tax_excluded_yen=bill.tax_excluded_yen,
            charges_tax_included_yen=bill.tax_included_yen,
            charges_complete=bill.complete,
            verdict="partial" if result.status == "partial" else verdict,
            digest=digest(result.rows),
        )


# ---- all runs ------------------------------------------------------------------------------------


class PointPlan:
    """The runs of every point: those finished before, those to come."""

    def __init__(
        self,
        sweep: Sweep,
        wanted: Wanted,
        known: Iterable[RunRow],
        done: Callable[[RunRow], None],
    ) -> None:
        """Begin with the runs ``known`` already; ``done`` is told each new one, once."""
        self._wanted, self._done = wanted, done
        self._values = list(points(sweep.axes))
        by_point: dict[int, list[RunRow]] = {}
        for row in known:
            by_point.setdefault(row.point, []).append(row)
        self._sequences: list[Replications[RunRow]] = [
            Replications(
                wanted.replications,
                None if wanted.until is None else narrow(wanted.until),
                sorted(by_point.get(point, ()), key=lambda row: row.replication),
            )
            for point in range(len(self._values))
        ]
        self._open = {point: None for point, one in enumerate(self._sequences) if not one.is_over}
        self.known = sum(one.count for one in self._sequences)
        """Runs that were finished before."""
        self._finished = self._attempts = 0
        self.left = sum(wanted.replications - self._sequences[at].count for at in self._open)
        """Runs that may still be needed."""

    @property
    def is_over(self) -> bool:
        """Whether every point has all the replications that it needs."""
        return not self._open

    @property
    def finished_points(self) -> int:
        """How many points have all that they need."""
        return len(self._sequences) - len(self._open)

    @property
    def finished_runs(self) -> int:
        """How many runs are finished, before and now."""
        return self.known + self._finished

    def next(self) -> Task | None:
        """Return the next run: in order of points, vain ones only for want of sure ones."""
        for may_be_vain in (False, True):
            for point in self._open:
                number = self._sequences[point].next(may_be_vain=may_be_vain)
                if number is not None:
                    return point, self._values[point], number
        return None

    def take(self, row: RunRow) -> None:
        """Take a finished run; the same once more is dropped."""
        sequence = self._sequences[row.point]
        was_over = sequence.is_over
        if not sequence.add(row):
            return
        self._done(row)
        self._finished += 1
        self._attempts += row.attempts
        if was_over:
            return
        self.left -= 1
        if sequence.is_over:
            del self._open[row.point]
            self.left -= self._wanted.replications - sequence.count

    def reached(self, inner: Progress | None) -> Reached:
        """Return how far this is; ``inner``: how far the run is that is computed here."""
        part = events = 0
        if inner is not None:
            part = _THOUSAND * (inner.at_us - inner.start_us) // (inner.end_us - inner.start_us)
            events = inner.events
        at = _THOUSAND * self._finished + part
        return Reached(
            at_us=at,
            start_us=0,
            end_us=max(at, _THOUSAND * (self._finished + self.left)),
            events=self._attempts + events,
        )

    def rows(self) -> list[PointRow]:
        """Return the rows of the points that have all that they need, in order."""
        return [point_row(one.rows, self._wanted.until) for one in self._sequences if one.is_over]

    def runs(self) -> list[RunRow]:
        """Return the replications that ``rows`` are of."""
        return [row for one in self._sequences if one.is_over for row in one.rows]


def compute(
    job: PointJob,
    plan: PointPlan,
    team: Team,
    *,
    progress: Callable[[Reached], None] | None,
    stop: Callable[[], bool],
) -> None:
    """Compute the runs that ``plan`` lacks, until it is over or ``stop`` says so.

    Raises what a run raises, ``SweepError`` when a run's process ends by itself again and again,
    and ``LostCrewError`` when nobody is left to compute.
    """

    def show(inner: Progress | None) -> None:
        if progress is not None:
            progress(plan.reached(inner))

    try:
        work(job, plan, team, most=plan.left, show=show, stop=stop)
    except LostTaskError as lost:
        told = {"point": ", ".join(lost.task[1]), "times": lost.times, "exit_code": lost.exit_code}
        raise SweepError(Problem(code="VPG1482", values=told)) from lost


# ---- one point -----------------------------------------------------------------------------------


def point_row(runs: Sequence[RunRow], until: Until | None = None) -> PointRow:
    """Return what the replications of one point (by number, at least one) say together."""
    plain = {name: getattr(runs[0], name) for name in Figures.__struct_fields__}
    verdicts = {row.verdict for row in runs}
    worst: tuple[PointVerdict, ...] = ("partial", "fails", "holds", "no_objectives")
    plain["verdict"] = next(one for one in worst if one in verdicts)
    until_met = None
    if until is not None:
        until_met = until.reached(mean_interval(value_of(row, until.figure) for row in runs))
    return PointRow(
        **plain,
        replications=len(runs),
        objectives_met=sum(row.verdict in {"holds", "no_objectives"} for row in runs),
        until_met=until_met,
        estimates=tuple(_estimate(runs, figure) for figure in FIGURES),
    )


def _estimate(runs: Sequence[RunRow], figure: FigureName) -> Estimate:
    found = mean_interval(value_of(row, figure) for row in runs)
    scale = _PPM if figure in SHARES else 1
    lower = upper = None
    if found.half_width is not None:
        # To three places: further ones may differ by platform.
        lower = round((found.mean - found.half_width) * scale, _DIGITS)
        upper = round((found.mean + found.half_width) * scale, _DIGITS)
    return Estimate(
        figure=figure, mean=round(found.mean * scale, _DIGITS), lower=lower, upper=upper
    )
