"""Replications: one scenario run again and again with draws independent of each other.

Owns: what one replication says (``study``), and the running of many. Does not own: the simulation
(``run``), who computes (``pool``), when they are enough (``sequence``), intervals (``stats``) or
what is shown. Replication r draws from streams of its own (``traffic.draws``), so a row depends on
the scenario, the catalogue and r alone: not on the number of workers, nor on who finishes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.objectives import judge, measure
from scenarios.terms import bill_of
from sim import run
from sim.pool import Local, LostCrewError, LostTaskError, work
from sim.sequence import Replications
from vpg.errors import EnsureError, ensure
from vpg.rating.hourly import digest
from vpg.rating.totals import totals
from vpg.replications import ReplicationRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scenarios.model import Scenario
    from sim.control import Progress
    from sim.pool import Team
    from vpg.billing.month import Bill
    from vpg.catalogue.model import Catalogue
    from vpg.rating.totals import Totals
    from vpg.results import RunResult

    Enough = Callable[[Sequence[ReplicationRow]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """The replications that are finished, by number."""

    rows: tuple[ReplicationRow, ...]
    why_stopped: str = ""
    """Empty when all that were asked for, or enough of them, are there."""


def account(scenario: Scenario, catalogue: Catalogue, result: RunResult) -> tuple[Totals, Bill]:
    """Return the totals of ``result``, a run of ``scenario``, and what it costs."""
    return totals(result.rows, result.delays), bill_of(scenario, result.rows, catalogue)


def study(
    scenario: Scenario, catalogue: Catalogue, result: RunResult, replication: int
) -> ReplicationRow:
    """Return what ``result``, the run of ``replication``, says in one row."""
    whole, bill = account(scenario, catalogue, result)
    measured = {
        name: measure(kind, whole, whole, bill)
        for name, kind in (
            ("accepted_share_ppm", "accepted_ppm_min"),
            ("throttled_share_ppm", "throttled_ppm_max"),
            ("refused_attach_share_ppm", "refused_attach_ppm_max"),
            ("messages_lost", "lost_messages_max"),
            ("delay_us_p99", "delay_us_p99_max"),
            ("rate_peak_per_s", "rate_peak_per_s_max"),
            ("lines_peak", "lines_peak_max"),
            ("charges_yen", "charges_yen_max"),
        )
    }
    return ReplicationRow(
        **measured,
        replication=replication,
        messages_offered=whole.messages_offered,
        messages_delivered=whole.messages_delivered,
        attempts_limited=whole.attempts_limited,
        throttled_limited=whole.throttled_limited,
        attach_attempts=whole.attach_attempts,
        sessions_refused=whole.sessions_refused,
        objectives_missed=sum(not one.met for one in judge(scenario, whole, bill)),
        digest=digest(result.rows),
    )


def replicate(
    scenario: Scenario,
    catalogue: Catalogue,
    *,
    replications: int,
    workers: int = 1,
    team: Team | None = None,
    done: Sequence[ReplicationRow] = (),
    enough: Enough | None = None,
    progress: Callable[[int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Replicated:
    """Run replications 0 … ``replications`` - 1 of ``scenario``, but those ``done`` already.

    ``done`` holds the first ones, in order. The sequence ends early when ``enough`` says so of the
    rows from 0 on without a gap, asked once for each; ``progress`` is told how many are finished.
    After ``stop`` what is finished is kept. ``team`` computes, else ``workers`` processes. Raises
    ``EnsureError`` when a replication breaks a promise of the simulator.
    """
    ensure([row.replication for row in done] == list(range(len(done))), "the first ones are done")
    plan = _Plan(Replications(replications, enough, done), progress or (lambda _: None))
    asked_to_stop = stop or (lambda: False)
    why = ""
    try:
        work(
            _Job(scenario=scenario, catalogue=catalogue),
            plan,
            team or Local(workers=workers),
            most=replications - len(done),
            show=lambda _: None,
            stop=asked_to_stop,
        )
    except LostTaskError:
        why = "a worker process ended"
    except LostCrewError as lost:
        why = str(lost)
    if asked_to_stop():
        why = "interrupted"
    sequence = plan.sequence
    return Replicated(rows=sequence.rows, why_stopped="" if sequence.is_over else why)


class _Plan:
    """One sequence, told of as it grows."""

    def __init__(self, sequence: Replications[ReplicationRow], tell: Callable[[int], None]) -> None:
        self.sequence, self._tell = sequence, tell

    @property
    def is_over(self) -> bool:
        return self.sequence.is_over

    def next(self) -> int | None:
        return self.sequence.next(may_be_vain=True)

    def take(self, row: ReplicationRow) -> None:
        if self.sequence.add(row):
            self._tell(self.sequence.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One scenario; a task is the number of a replication."""

    scenario: Scenario
    catalogue: Catalogue

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
    ) -> ReplicationRow | None:
        try:
            result = run.simulate(
                self.scenario, self.catalogue, progress=progress, stop=stop, replication=task
            )
        except EnsureError as broken:
            # The result that some carry stays here: it is large, and the number finds it again.
            raise EnsureError(f"replication {task}: {broken}") from None
        if stop is not None and stop():
            return None
        return study(self.scenario, self.catalogue, result, task)
