"""The compiled plane: whole months through one Large, a hundred Larges, and against others.

Owns: which workloads, and their targets. Does not own: what it costs as they grow (``growth``).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from tests.bench import measure
from tests.bench.figures import Figure, check
from tests.bench.measure import SkippedError
from tests.bench.spec import Workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.figures import Options

MONTH_H = 30 * 24
CALM = Workload(lines=10_000, hours=MONTH_H, size="large", phase="uniform", jitter_s=5)
SYNC = dataclasses.replace(CALM, phase="clock", jitter_s=10)
MANY = dataclasses.replace(CALM, hours=24, vpgs=100)
CALM_S_MAX = {1: 4.0, 2: 2.2}
SYNC_S_MAX = {1: 60.0, 2: 32.0}
MANY_S_MAX = {2: 10.0}
CALM_MIB_MAX = 300.0
TIMES_MIN = {"simpy": {"calm": 100.0, "contended": 30.0}, "cimba": {"calm": 20.0, "contended": 8.0}}
NAMES = {"simpy": "user's SimPy script", "cimba": "cimba model"}


def calm(options: Options) -> Iterator[Figure]:
    """Run a month in which nothing is refused."""
    hours = 6 if options.short else MONTH_H
    yield from _lone("calm month", dataclasses.replace(CALM, hours=hours), CALM_S_MAX, options)


def sync(options: Options) -> Iterator[Figure]:
    """Run a month in which all lines report within ten seconds of each minute."""
    hours = 1 if options.short else MONTH_H
    yield from _lone("sync month", dataclasses.replace(SYNC, hours=hours), SYNC_S_MAX, options)


def many(options: Options) -> Iterator[Figure]:
    """Run a million lines on a hundred VPGs for a day."""
    small = dataclasses.replace(MANY, vpgs=4, hours=2)
    workload = small if options.short else MANY
    yield from _lone(f"{workload.vpgs} Larges", workload, MANY_S_MAX, options)


def _lone(
    title: str, workload: Workload, most_s: dict[int, float], options: Options
) -> Iterator[Figure]:
    """Run one workload on one core and on two, in turns."""
    warm()
    found: dict[int, list[measure.Measured]] = {1: [], 2: []}
    skipped: dict[int, str] = {}
    for _ in range(options.runs):
        for workers, results in found.items():
            if workers in skipped:
                continue
            try:
                run = measure.measure("compiled", dataclasses.replace(workload, workers=workers))
            except SkippedError as why:
                skipped[workers] = str(why)
                continue
            results.append(run)
            check(run.counts == found[1][0].counts, f"{title}: {workers} workers count otherwise")
            calm = workload.phase == "uniform"
            check(calm == (run.counts["refused"] == 0), f"{title}: {run.counts}")
    for workers, runs in found.items():
        cores = "one core" if workers == 1 else "two cores"
        if workers in skipped:
            yield Figure(name=f"{title}, {cores}", skipped=skipped[workers])
            continue
        goal = options.goal(most_s[workers]) if workers in most_s else None
        attempts = f"{runs[0].counts['attempts']:,} attempts"
        yield measure.seconds(f"{title}, {cores}, {attempts}", runs, goal)
        mib_max = options.goal(CALM_MIB_MAX) if title == "calm month" else None
        yield measure.peak(f"{title}, {cores}", runs, mib_max)
    yield _before(f"{title}: imports and machine code before it", found[1])


def _before(name: str, runs: list[measure.Measured]) -> Figure:
    times_s = [run.ready_s for run in runs]
    return Figure(name=name, value=sorted(times_s)[len(times_s) // 2], unit="s", runs=len(runs))


@functools.cache
def warm() -> None:
    """Have the machine code, so that no figure holds its making."""
    measure.measure("compiled", Workload(lines=10, hours=1))


def against(options: Options) -> Iterator[Figure]:
    """Two hours against what others would use, on one core, in turns."""
    warm()
    for shape, month in {"calm": CALM, "contended": SYNC}.items():
        workload = dataclasses.replace(month, hours=0.2 if options.short else 2)
        programs = ("compiled", *NAMES)
        found, skipped = measure.in_turns(programs, workload, options.runs)
        ours = found["compiled"]
        yield measure.speeds(f"compiled plane, {shape}", ours)
        for which, name in NAMES.items():
            if which in skipped:
                yield Figure(name=f"{name}, {shape}", skipped=skipped[which])
                continue
            yield measure.speeds(f"{name}, {shape}", found[which])
            yield Figure(
                name=f"ratio compiled plane / {name}, {shape}",
                value=measure.ratio(ours, found[which]),
                unit="times",
                runs=options.runs,
                at_least=options.goal(TIMES_MIN[which][shape]),
            )
        for which, runs in found.items():
            if runs:
                yield measure.peak(f"{NAMES.get(which, 'compiled plane')}, {shape}", runs)
