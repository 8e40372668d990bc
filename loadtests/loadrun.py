"""A load from its plan to its run directory: look, send, settle, resolve, reconcile, write.

Owns: the order of the steps, and when a run is invalid. Does not own: any step's inside. Times:
service time in what is written; seconds of this machine in waiting.

A run is invalid, whatever it measured, when its generator was starved: sent late (99th percentile
above the bound), sent less than intended, or had to wait for a free connection.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from loadtests import locust_run
from loadtests.load_document import (
    FaultPart,
    GeneratorPart,
    HistogramPart,
    LoadDocument,
    Reason,
    Verdict,
)
from loadtests.reconcile import BillCheck, Compared, check_bill, compare, growth
from loadtests.resolving import Resolved, resolve
from loadtests.result import Tally, add_up, latencies, lateness, merged, service_times
from vpg.billing.month import bill_csv, bill_document, bill_months, month_to_date
from vpg.rating.hourly import digest
from vpg.rundir import RunDirWriter
from vpg.timebase import hour_start, iso_utc, month_name, month_start, next_month_start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtests.plan import LoadPlan
    from loadtests.planning import Load
    from loadtests.result import Measured, Result
    from loadtests.schedule import Schedule
    from loadtests.target import Counters, Target
    from vpg.billing.month import Bill
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargePolicy, ChargeRow
    from vpg.rating.hourly import HourlyRow

LATENESS_P99_MS: Final = 50
"""Default bound of the generator's own lateness."""
_SETTLE_S: Final = 30.0
_SECOND_S: Final = 1.3
"""Refusals of a UTC second leave the gateway when it is over."""
_POLL_S: Final = 0.2
_NAMED_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything of a run but the load itself."""

    catalogue: Catalogue
    out: Path
    scenario: str = ""
    """Name of the scenario that the service runs, where it is known."""
    policy: ChargePolicy | None = None
    """How that scenario reads the terms."""
    lateness_p99_ms: int = LATENESS_P99_MS
    master: tuple[str, int] | None = None
    workers_wait_s: float = 60.0
    started_us: int = 0
    """This machine's clock, for the directory's name."""
    versions: dict[str, str] = field(default_factory=dict)
    may_lose_refusals: bool = False
    tick: Callable[[float], None] | None = None
    settled: Callable[[], FaultPart | None] | None = None
    """Called when the last send is over: ends a fault, and tells of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the service had counted, at one instant."""

    rows: tuple[HourlyRow, ...]
    counters: Counters
    now_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A run whose directory is written."""

    document: LoadDocument
    measured: Measured
    run_dir: Path


def carry_out(
    load: Load, plan: LoadPlan, schedule: Schedule, target: Target, setting: Setting
) -> Done:
    """Carry out a planned load against a checked target; see the module for the steps."""
    writer = RunDirWriter(
        parent=setting.out,
        scenario=f"load-{load.kind}",
        started_us=setting.started_us,
        identity=plan.source,
    )
    writer.probe()
    from_us = min(plan.oldest_us, plan.begin_us - plan.late_us) if plan.late_ppm else plan.begin_us
    from_us = hour_start(max(from_us, month_start(plan.begin_us)))
    before = _seen(target, from_us)
    with tempfile.TemporaryDirectory(prefix="vpg-load-") as name:
        results = locust_run.run(
            plan,
            schedule,
            Path(name),
            master=setting.master,
            workers_wait_s=setting.workers_wait_s,
            tick=setting.tick,
        )
        log = (Path(name) / locust_run.LOG_FILE).read_bytes()
    fault = setting.settled() if setting.settled is not None else None
    _settle(target)
    resolved = resolve(plan, schedule, results, target)
    if resolved.acknowledged:
        _settle(target)
    after = _seen(target, from_us)
    judged = _Judged(load, plan, schedule, setting, results, resolved, before, after)
    bills, charges, bill = _bills(target, plan, setting, from_us, after.now_us)
    document = judged.document(target.url, bills, fault)
    with writer:
        _write(writer, after.rows, charges, bill)
        writer.write_bytes("locust.log", log)
        place = setting.out / writer.folder.name.lstrip(".").partition(".")[0]
        document = msgspec.structs.replace(document, run_dir=str(place))
        writer.write_json("load.json", msgspec.to_builtins(document))
        writer.write_json("summary.json", _summary(document))
        run_dir = writer.finish(_manifest(document, setting, after.rows))
    return Done(document=document, measured=judged.measured, run_dir=run_dir)


# ---- the service before and after ----------------------------------------------------------------


def _seen(target: Target, from_us: int) -> Seen:
    now_us = target.now_us()
    rows = tuple(target.hourly(from_us, now_us + 1))
    return Seen(rows=rows, counters=target.counters(), now_us=now_us)


def _settle(target: Target) -> None:
    """Wait until the service has counted what it knows of."""
    until_s = time.monotonic() + _SETTLE_S
    time.sleep(_SECOND_S)
    before = target.counters()
    while time.monotonic() < until_s:
        time.sleep(_POLL_S)
        now = target.counters()
        if now == before and not now.waiting:
            return
        before = now


def _bills(
    target: Target, plan: LoadPlan, setting: Setting, from_us: int, now_us: int
) -> tuple[list[BillCheck], list[ChargeRow], Bill]:
    """Compare bills and charges of every month of the load with its hourly metrics."""
    checks: list[BillCheck] = []
    every: list[ChargeRow] = []
    operators = sorted({line.operator_id for line in plan.lines})
    month_us = month_start(from_us)
    while month_us <= now_us:
        name = month_name(month_us)
        charges = target.charges(name)
        rows = target.hourly(month_us, min(next_month_start(month_us), now_us + 1))
        lines = [
            line
            for operator in operators
            for line in target.bill(name, operator)["costBreakdownList"]
        ]
        checks.append(
            check_bill(
                name, rows, charges, lines, catalogue=setting.catalogue, policy=setting.policy
            )
        )
        every += charges
        month_us = next_month_start(month_us)
    return checks, every, bill_months(every, setting.catalogue, "monthly_total")


# ---- the judgement -------------------------------------------------------------------------------


class _Judged:
    """A finished load's figures."""

    def __init__(  # noqa: PLR0917 - one value of each kind
        self,
        load: Load,
        plan: LoadPlan,
        schedule: Schedule,
        setting: Setting,
        results: Sequence[Result],
        resolved: Resolved,
        before: Seen,
        after: Seen,
    ) -> None:
        self._load, self._plan, self._schedule = load, plan, schedule
        self._setting, self._resolved = setting, resolved
        self.measured = merged(results)
        self._results = self.measured.results
        self._service = _grown(before.counters, after.counters)
        self.tallies = add_up([*self.measured.tallies.values(), *resolved.tallies])
        stored = growth(before.rows, after.rows, by_hour=plan.kind == "rating")
        self.compared = compare(
            list(self.tallies.values()),
            stored,
            may_lose_refusals=setting.may_lose_refusals,
            answer_bytes_known=plan.kind == "rating",
        )

    def document(self, url: str, bills: list[BillCheck], fault: FaultPart | None) -> LoadDocument:
        """Return all of it as ``load.json`` has it; the run directory's name comes later."""
        generator = self._generator()
        plan, resolved = self._plan, self._resolved
        lost, doubled = self._sum("lost"), self._sum("doubled")
        agrees = all(one.agrees for one in self.compared)
        agrees = agrees and not any(one.differences for one in bills)
        verdict: Verdict = "agrees"
        if not agrees or self.measured.unexpected or resolved.refused:
            verdict = "disagrees"
        elif generator.invalid_because:
            verdict = "invalid"
        latency = latencies(self._results)
        service_time, late = service_times(self._results), lateness(self._results)
        unknown = [one for one in self.tallies.values() if one.outcome == "unknown"]
        return LoadDocument(
            kind=plan.kind,
            verdict=verdict,
            target=url,
            law=self._load.law,
            scenario=self._setting.scenario,
            seed=plan.seed,
            batch=plan.batch,
            begin_us=plan.begin_us,
            length_us=self._schedule.length_us,
            generator=generator,
            latency_us=latency.spread(),
            latency_accepted_us=latencies(self._results, "accepted").spread(),
            service_time_us=service_time.spread(),
            answers=self.measured.answers,
            unexpected=self.measured.unexpected,
            unknown=resolved.names or tuple(_words(one) for one in unknown[:_NAMED_MAX]),
            unknown_count=sum(one.requests for one in unknown),
            resolved=resolved.acknowledged,
            lost=lost,
            doubled=doubled,
            compared=tuple(self.compared),
            bills=tuple(bills),
            service=self._service,
            fault=fault,
            histograms=HistogramPart(
                latency=latency.text(), service_time=service_time.text(), lateness=late.text()
            ),
            run_dir="",
        )

    def _sum(self, name: str) -> int:
        """Return lost or doubled requests; bytes are compared, not counted."""
        rows = [one for one in self.compared if not one.column.startswith("bytes_")]
        return sum(getattr(one, name) for one in rows)

    def _generator(self) -> GeneratorPart:
        measured, spread = self.measured, lateness(self._results).spread()
        why: list[Reason] = []
        if len(self._results) < self._plan.processes:
            why.append("process_lost")
        if measured.sent < measured.intended:
            why.append("unsent")
        if measured.pool_waits:
            why.append("connections")
        if spread.p99 > self._setting.lateness_p99_ms * 1_000:
            why.append("late")
        return GeneratorPart(
            processes=self._plan.processes,
            intended=measured.intended,
            sent=measured.sent,
            pool_waits=measured.pool_waits,
            connections_peak=measured.pool_peak,
            events=measured.events,
            duplicates=measured.duplicates,
            late=measured.late,
            lateness_us=spread,
            cpu_percent=tuple(100 * one.cpu_ns // max(1, one.wall_ns) for one in self._results),
            lateness_p99_most_us=self._setting.lateness_p99_ms * 1_000,
            invalid_because=tuple(why),
        )


def _grown(before: Counters, after: Counters) -> dict[str, int]:
    """Return how the service's counters grew; from 0 where it was started anew meanwhile."""
    again = after.events < before.events
    return {
        name.removeprefix("vpg_").removesuffix("_total"): value
        - (0 if again else before.values[name])
        for name, value in after.values.items()
    }


def _words(one: Tally) -> str:
    return f"{one.requests} requests of {one.vpg_id} over {one.service}"


# ---- the run directory ---------------------------------------------------------------------------


def _write(
    writer: RunDirWriter, rows: Sequence[HourlyRow], charges: Sequence[ChargeRow], bill: Bill
) -> None:
    writer.write_hourly(rows)
    writer.write_charges(charges)
    writer.write_month_to_date(month_to_date(charges))
    writer.write_json("bill.json", bill_document(bill))
    writer.write_text("bill.csv", bill_csv(bill))


def _summary(document: LoadDocument) -> dict[str, Any]:
    """Return the figures of ``load.json`` that a list of runs shows."""
    sums: Counter[str] = Counter()
    for one in document.compared:
        sums[one.column] += one.stored
    return {
        "schema_version": "vpgsim-load-summary-v1",
        "kind": document.kind,
        "verdict": document.verdict,
        "target": document.target,
        "sent": document.generator.sent,
        "stored": dict(sorted(sums.items())),
        "lost": document.lost,
        "doubled": document.doubled,
        "unknown": document.unknown_count,
        "latency_us": msgspec.to_builtins(document.latency_us),
    }


def _manifest(
    document: LoadDocument, setting: Setting, rows: Sequence[HourlyRow]
) -> dict[str, Any]:
    return {
        "scenario": setting.scenario,
        "source": document.target,
        "kind": f"load-{document.kind}",
        "seed": document.seed,
        "catalogue": {"id": setting.catalogue.id, "sha256": setting.catalogue.sha256},
        "digest": digest(rows),
        "versions": setting.versions,
        "wall_start": iso_utc(setting.started_us),
        "service_start": iso_utc(document.begin_us),
    }


def differing(document: LoadDocument) -> list[Compared]:
    """Return the figures that do not agree."""
    return [one for one in document.compared if not one.agrees]
