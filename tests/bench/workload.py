"""One measurement of one program in a process of its own, so that its memory is its own.

``python -m tests.bench.workload reference|compiled|simpy|cimba WORKLOAD`` (``Workload`` as JSON)
prints one JSON object: the counts, the seconds of the run itself, what came before it (imports,
reading the scenario, loading machine code), its processor time and the process's peak memory.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.spec import RATE_PER_S, Workload

if TYPE_CHECKING:
    from collections.abc import Callable

NO_CIMBA = "cimba is not installed"
NO_WORKERS = "no workers inside one run yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A program ready to run, and how it counts what it did."""

    run: Callable[[], Any]
    counted: Callable[[Any], dict[str, int]]


def reference(workload: Workload) -> Prepared:
    """Prepare the product's reference plane."""
    return _ours(workload, "reference")


def compiled(workload: Workload) -> Prepared:
    """Prepare the product's compiled plane, its machine code loaded."""
    return _ours(workload, "compiled")


def _ours(workload: Workload, engine: Any) -> Prepared:
    from scenarios.loader import load_scenario
    from sim.run import simulate
    from vpg.catalogue.load import load_catalogue

    catalogue = load_catalogue()
    more: dict[str, Any] = {}
    if workload.workers > 1:
        if "workers" not in inspect.signature(simulate).parameters:
            raise SystemExit(NO_WORKERS)
        more["workers"] = workload.workers

    def counted(result: Any) -> dict[str, int]:
        rows = result.rows
        return {
            "messages": sum(row.messages_offered for row in rows),
            "attempts": sum(row.attempts_beam for row in rows),
            "accepted": sum(row.accepted_beam for row in rows),
            "refused": sum(row.throttled_beam + row.no_session_beam for row in rows),
            "lost": sum(row.lost_tries for row in rows),
        }

    if engine == "compiled":
        # Refused messages too: whatever the run will call is loaded by then.
        little = dataclasses.replace(workload, lines=400, hours=0.1, vpgs=1, size="small")
        little = dataclasses.replace(little, phase="clock", workers=1)
        simulate(load_scenario(little.scenario(), catalogue=catalogue), catalogue, engine=engine)
    scenario = load_scenario(workload.scenario(), catalogue=catalogue)
    return Prepared(
        run=lambda: simulate(scenario, catalogue, engine=engine, **more), counted=counted
    )


def simpy(workload: Workload) -> Prepared:
    """Prepare the script of a user of SimPy."""
    from tests.bench import user_simpy

    return Prepared(
        run=lambda: user_simpy.simulate(
            devices=workload.all_lines,
            hours=workload.hours,
            spread=workload.phase == "uniform",
            seed=workload.seed,
            jitter_s=workload.jitter_s,
            rate_per_s=RATE_PER_S[workload.size],
        ),
        counted=_users,
    )


def cimba(workload: Workload) -> Prepared:
    """Prepare the model of a user of cimba, compiled."""
    try:
        from tests.bench import user_cimba
    except ModuleNotFoundError as missing:
        if missing.name != "cimba":
            raise
        raise SystemExit(NO_CIMBA) from missing
    model = user_cimba.Fleet(
        devices=workload.all_lines,
        spread=workload.phase == "uniform",
        jitter_s=workload.jitter_s,
        rate_per_s=RATE_PER_S[workload.size],
    )
    model.simulate(hours=0.001, seed=workload.seed)
    return Prepared(
        run=lambda: model.simulate(hours=workload.hours, seed=workload.seed), counted=_users
    )


def _users(counts: Any) -> dict[str, int]:
    return {
        "messages": counts.messages,
        "attempts": counts.attempts,
        "accepted": counts.accepted,
        "refused": counts.attempts - counts.accepted,
        "lost": counts.lost,
    }


PROGRAMS: dict[str, Callable[[Workload], Prepared]] = {
    "reference": reference,
    "compiled": compiled,
    "simpy": simpy,
    "cimba": cimba,
}


def main(arguments: list[str]) -> None:
    """Measure what the command line names and print it as JSON."""
    which, text = arguments
    begun_s = time.perf_counter()
    prepared = PROGRAMS[which](Workload(**json.loads(text)))
    ready_s, busy_s = time.perf_counter(), time.process_time()
    result = prepared.run()
    done_s, done_busy_s = time.perf_counter(), time.process_time()
    found = {
        "counts": prepared.counted(result),
        "ready_s": ready_s - begun_s,
        "took_s": done_s - ready_s,
        "processor_s": done_busy_s - busy_s,
        "peak_mib": peak_kib() / 1024,
    }
    print(json.dumps(found))


def peak_kib() -> int:
    """Return this process's peak memory; its own, where the system tells it apart."""
    status = Path("/proc/self/status")
    if status.exists():
        # The resource module's figure starts at what the parent held when it forked.
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(sys.argv[1:])
