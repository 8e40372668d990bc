"""What a run costs as it grows: 1,000 to 1,000,000 lines, a day to a year; and the chart of it."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from tests.bench import measure
from tests.bench.engine import CALM, warm
from tests.bench.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.figures import Options
    from tests.bench.spec import Workload

PER_VPG = 10_000
LINES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
DAYS = (1, 3, 10, 30, 100, 365)
DAYS_LINES = 3_000
"""So few that a year is below the messages a scenario may have."""
SLOPE_MAX = 1.1
"""Seconds grow as the attempts to this power: 1 is in proportion; noise needs some room."""
Point = tuple[str, measure.Measured]


def growth(options: Options) -> Iterator[Figure]:
    """Measure every size once: the line through them is what counts."""
    warm()
    everything = list(_short() if options.short else _sizes())
    points: list[Point] = []
    for axis, workload in everything:
        run = measure.measure("compiled", workload)
        points.append((axis, run))
        days = f"{workload.hours / 24:g} days" if axis == "days" else "a day"
        how = f"{workload.all_lines:,} lines, {days}"
        yield measure.seconds(f"growth: {how}", [run])
        yield measure.peak(f"growth: {how}", [run])
    for axis in ("lines", "days"):
        yield Figure(
            name=f"growth with {axis}: seconds as attempts to the power",
            value=slope([run for one, run in points if one == axis]),
            runs=1,
            at_most=options.goal(SLOPE_MAX),
        )
    if options.chart is not None:
        draw(points, options.chart)


def _sizes() -> Iterator[tuple[str, Workload]]:
    for lines in LINES:
        each = min(lines, PER_VPG)
        yield "lines", dataclasses.replace(CALM, lines=each, vpgs=lines // each, hours=24)
    for days in DAYS:
        yield "days", dataclasses.replace(CALM, lines=DAYS_LINES, hours=24 * days)


def _short() -> Iterator[tuple[str, Workload]]:
    for lines in (1_000, 10_000):
        yield "lines", dataclasses.replace(CALM, lines=lines, hours=24)
    for days in (1, 2):
        yield "days", dataclasses.replace(CALM, lines=1_000, hours=24 * days)


def slope(runs: list[measure.Measured]) -> float:
    """Return the slope of seconds over attempts, both as logarithms: least squares."""
    xs = [math.log(run.counts["attempts"]) for run in runs]
    ys = [math.log(run.took_s) for run in runs]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    across = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return across / sum((a - x) ** 2 for a in xs)


def draw(points: list[Point], file: Path) -> None:
    """Draw seconds over attempts, with the line of proportion through the largest run."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = "vpgsim"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    marks = {
        "lines": ("o", "1,000 to 1,000,000 lines, a day"),
        "days": ("s", f"{DAYS_LINES:,} lines, a day to a year"),
    }
    for axis, (mark, label) in marks.items():
        runs = [run for one, run in points if one == axis]
        xs = [run.counts["attempts"] for run in runs]
        axes.plot(xs, [run.took_s for run in runs], f"{mark}-", label=label)
    largest = max((run for _, run in points), key=lambda run: run.counts["attempts"])
    smallest = min(run.counts["attempts"] for _, run in points)
    ends = (smallest, largest.counts["attempts"])
    per_attempt_s = largest.took_s / ends[1]
    axes.plot(ends, [n * per_attempt_s for n in ends], ":", color="grey", label="in proportion")
    axes.set(xscale="log", yscale="log", xlabel="attempts", ylabel="seconds, one core")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
