"""Replications: one scenario run again and again with draws independent of each other.

Owns: what one replication says (``study``), and the running of many over processes. Does not own:
the simulation (``run``), intervals (``stats``) or what is shown. Replication r draws from streams
of its own (``traffic.draws``), so a row depends on the scenario, the catalogue and r alone: not on
the number of workers, nor on who finishes first. Where a rule ends the sequence, it is asked after
each replication in the order of their numbers, and what ran ahead of it is left out.

Workers are processes of their own, started fresh (spawn). They leave Ctrl-C to the process that
started them, ask it between two slices of simulated time whether to stop, and end when it is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from scenarios.objectives import judge, measure
from scenarios.terms import charge_policy
from sim import run
from sim.stats import Moments
from vpg.billing.month import bill_months
from vpg.errors import EnsureError, ensure
from vpg.rating.charges import rate_hours
from vpg.rating.hourly import digest
from vpg.rating.totals import totals
from vpg.replications import ReplicationRow, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.synchronize import Event

    from scenarios.model import Scenario
    from sim.stats import Until
    from vpg.catalogue.model import Catalogue
    from vpg.results import RunResult

    Enough = Callable[[Sequence[ReplicationRow]], bool]

_LOOK_EVERY_S = 0.2
"""Longest time until a request to stop is passed on to the workers."""
_AHEAD = 2
"""Replications handed out for each worker, so that none waits for the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """The replications that are finished, by number."""

    rows: tuple[ReplicationRow, ...]
    why_stopped: str = ""
    """Empty when all that were asked for, or enough of them, are there."""


def narrow(until: Until) -> Enough:
    """Return the rule that ends a sequence once the interval of ``until`` is narrow enough."""
    moments = Moments()

    def enough(rows: Sequence[ReplicationRow]) -> bool:
        moments.add(value_of(rows[-1], until.figure))
        return until.reached(moments.interval())

    return enough


def study(
    scenario: Scenario, catalogue: Catalogue, result: RunResult, replication: int
) -> ReplicationRow:
    """Return what ``result``, the run of ``replication``, says in one row."""
    whole = totals(result.rows, result.delays)
    charges = rate_hours(result.rows, catalogue, charge_policy(scenario))
    bill = bill_months(charges, catalogue, scenario.assumptions.a15_rounding)
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
    done: Sequence[ReplicationRow] = (),
    enough: Enough | None = None,
    progress: Callable[[int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Replicated:
    """Run replications 0 … ``replications`` - 1 of ``scenario``, but those ``done`` already.

    ``done`` holds the first ones, in order. The sequence ends early when ``enough`` says so of the
    rows from 0 on without a gap, asked once for each; ``progress`` is told how many are finished.
    After ``stop`` what is finished is kept. Raises ``EnsureError`` when a replication breaks a
    promise of the simulator.
    """
    ensure([row.replication for row in done] == list(range(len(done))), "the first ones are done")
    sequence = _Sequence(done, replications, enough)
    job = _Job(
        scenario=scenario,
        catalogue=catalogue,
        wanted=range(len(done), replications),
        tell=progress or (lambda _: None),
        stop=stop or (lambda: False),
    )
    crew = min(workers, len(job.wanted))
    if sequence.is_over:
        why = ""
    elif crew == 1:
        why = _alone(job, sequence)
    else:
        why = _together(job, sequence, crew)
    return sequence.outcome(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What is to be run, and whom to ask and tell meanwhile."""

    scenario: Scenario
    catalogue: Catalogue
    wanted: range
    tell: Callable[[int], None]
    stop: Callable[[], bool]


class _Sequence:
    """Finished rows, and whether those from 0 on without a gap are enough."""

    def __init__(
        self, done: Sequence[ReplicationRow], replications: int, enough: Enough | None
    ) -> None:
        self._asked = replications
        self._enough = enough
        self._ahead: dict[int, ReplicationRow] = {}
        self._rows: list[ReplicationRow] = []
        self.is_over = False
        for row in done:
            self.add(row)

    def add(self, row: ReplicationRow) -> None:
        """Take a finished row, whichever comes."""
        self._ahead[row.replication] = row
        while not self.is_over and len(self._rows) in self._ahead:
            self._rows.append(self._ahead.pop(len(self._rows)))
            self.is_over = len(self._rows) == self._asked or (
                self._enough is not None and self._enough(self._rows)
            )

    @property
    def count(self) -> int:
        """How many are finished."""
        return len(self._rows) + len(self._ahead)

    def outcome(self, why: str) -> Replicated:
        """Return what there is by number; what ran ahead of the end is no part of it."""
        if self.is_over:
            return Replicated(rows=tuple(self._rows))
        ahead = (self._ahead[number] for number in sorted(self._ahead))
        return Replicated(rows=(*self._rows, *ahead), why_stopped=why)


def _one(
    scenario: Scenario, catalogue: Catalogue, replication: int, stop: Callable[[], bool]
) -> ReplicationRow | None:
    """Return the row of a replication; None when it was stopped."""
    try:
        result = run.simulate(scenario, catalogue, stop=stop, replication=replication)
    except EnsureError as broken:
        # The result that some carry stays here: it is large, and the number finds it again.
        raise EnsureError(f"replication {replication}: {broken}") from None
    return None if stop() else study(scenario, catalogue, result, replication)


def _alone(job: _Job, sequence: _Sequence) -> str:
    for replication in job.wanted:
        row = _one(job.scenario, job.catalogue, replication, job.stop)
        if row is None:
            return "interrupted"
        sequence.add(row)
        job.tell(sequence.count)
        if sequence.is_over:
            break
    return ""


# ---- processes -----------------------------------------------------------------------------------


def _together(job: _Job, sequence: _Sequence, workers: int) -> str:
    context = multiprocessing.get_context("spawn")
    told_to_stop = context.Event()
    pool = ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_begin_work,
        initargs=(job.scenario, job.catalogue, told_to_stop),
    )
    next_ones = iter(job.wanted)
    at_work: set[Future[ReplicationRow | None]] = set()
    try:
        while not job.stop() and not sequence.is_over:
            while len(at_work) < _AHEAD * workers and (number := next(next_ones, None)) is not None:
                with _interrupts_held():
                    at_work.add(pool.submit(_work, number))
            ready, at_work = wait(at_work, _LOOK_EVERY_S, FIRST_COMPLETED)
            _collect(ready, sequence)
            if ready:
                job.tell(sequence.count)
    except BrokenProcessPool:
        return "interrupted" if job.stop() else "a worker process ended"
    finally:
        told_to_stop.set()
        pool.shutdown(cancel_futures=True)
    # What finished between the last look and the end of the workers.
    _collect({one for one in at_work if not one.cancelled() and not one.exception()}, sequence)
    return "interrupted"


def _collect(ready: set[Future[ReplicationRow | None]], sequence: _Sequence) -> None:
    for future in ready:
        row = future.result()
        if row is not None:
            sequence.add(row)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach; here it arrives a moment later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Bench:
    """What a worker process works on; set once when it begins."""

    scenario: Scenario
    catalogue: Catalogue
    told_to_stop: Event


def _begin_work(scenario: Scenario, catalogue: Catalogue, told_to_stop: Event) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Bench.scenario, _Bench.catalogue, _Bench.told_to_stop = scenario, catalogue, told_to_stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> NoReturn:
    """Wait for the end of the process that started this one: it may be killed without a word."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _work(replication: int) -> ReplicationRow | None:
    return _one(_Bench.scenario, _Bench.catalogue, replication, _Bench.told_to_stop.is_set)
