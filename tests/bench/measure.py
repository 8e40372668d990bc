"""Measure programs in processes of their own, in turns, and check the work they say they did."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.figures import ROOT, Figure, check
from tests.bench.workload import NO_CIMBA, NO_WORKERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.spec import Workload

TRIES = 6
MISSING = (NO_CIMBA, NO_WORKERS)


class SkippedError(Exception):
    """What is measured is not there; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run in a process of its own; ``took_s`` is the run itself, ``ready_s`` came before."""

    counts: dict[str, int]
    took_s: float
    ready_s: float
    processor_s: float
    peak_mib: float


def measure(which: str, workload: Workload, environment: Mapping[str, str] = {}) -> Measured:
    """Run one workload in a fresh process and check the work it says it did."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.workload", which, workload.to_json()],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.stderr.strip() in MISSING:
        raise SkippedError(done.stderr.strip())
    check(done.returncode == 0, f"{which} {workload}: {done.stderr}")
    found = Measured(**json.loads(done.stdout))
    counts, lines = found.counts, workload.all_lines
    check(abs(counts["messages"] - workload.messages) <= lines, f"{which} {workload}: {counts}")
    check(counts["attempts"] == counts["accepted"] + counts["refused"], f"{which}: {counts}")
    check(counts["attempts"] >= counts["messages"], f"{which}: {counts}")
    check(counts["attempts"] <= TRIES * counts["messages"], f"{which}: {counts}")
    undecided = counts["messages"] - counts["accepted"] - counts["lost"]
    check(0 <= undecided <= lines, f"{which}: {undecided} undecided of {counts}")
    if workload.workers == 1:
        # A second of slack: the clock of a process is coarse, and its threads end by themselves.
        one_core = found.processor_s <= 1.1 * found.took_s + 1
        check(one_core, f"{which} kept more than one core busy: {found}")
    return found


def in_turns(
    programs: tuple[str, ...], workload: Workload, runs: int
) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Run the programs A, B, A, B …; return their runs, and why those were skipped that were."""
    found: dict[str, list[Measured]] = {which: [] for which in programs}
    skipped: dict[str, str] = {}
    for _ in range(runs):
        for which, results in found.items():
            if which in skipped:
                continue
            try:
                results.append(measure(which, workload))
            except SkippedError as why:
                skipped[which] = str(why)
                continue
            same = results[0].counts == results[-1].counts
            check(same, f"{which} {workload} differs from run to run")
    # Two programs, two random number generators, one workload: the totals must be close.
    ran = [results[0].counts for results in found.values() if results]
    for name in ("messages", "attempts", "accepted"):
        for other in ran[1:]:
            check(abs(ran[0][name] - other[name]) <= 0.02 * other[name], f"{name}: {ran}")
    return found, skipped


def speed(one: Measured) -> float:
    """Return attempts a second."""
    return one.counts["attempts"] / one.took_s


def ratio(ours: list[Measured], theirs: list[Measured]) -> float:
    """Return the median of how many times faster ours did its attempts, pair by pair."""
    return statistics.median(speed(a) / speed(b) for a, b in zip(ours, theirs, strict=True))


def speeds(title: str, runs: list[Measured]) -> Figure:
    """Return attempts a second of one program."""
    return Figure(
        name=f"{title}, {runs[0].counts['attempts']:,} attempts",
        value=statistics.median(speed(one) for one in runs),
        unit="attempts/s",
        runs=len(runs),
    )


def peak(title: str, runs: list[Measured], at_most: float | None = None) -> Figure:
    """Return the peak memory of one program's processes."""
    return Figure(
        name=f"{title}: peak memory",
        value=statistics.median(one.peak_mib for one in runs),
        unit="MiB",
        runs=len(runs),
        at_most=at_most,
    )


def seconds(title: str, runs: list[Measured], at_most: float | None = None) -> Figure:
    """Return the seconds of the run itself."""
    return Figure(
        name=title,
        value=statistics.median(one.took_s for one in runs),
        unit="s",
        runs=len(runs),
        at_most=at_most,
    )
