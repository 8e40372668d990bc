"""Every figure of speed, measured in one go: ``python -m tests.bench`` (or ``make bench``).

Each figure is the median of several runs in processes of their own; what is compared alternates (A,
B, A, B), so that a slow minute of the machine hits both. Each measurement asserts the work it did.
Exit 4 when a target is missed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent
DEVICES = 1_000
RATIO_MIN = 0.25
HELP_S_MAX = 0.3
RUN_S_MAX = 1.0
RUN_WITH_CHARTS_S_MAX = 4.0
TARGET_MISSED = 4
VPG = (sys.executable, "-c", "from vpg.cli.main import main; main()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure, its unit, and its target if it has one."""

    name: str
    value: float
    unit: str
    runs: int
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    def line(self) -> str:
        target = ""
        if self.at_least is not None:
            target = f">= {self.at_least:g}"
        if self.at_most is not None:
            target = f"<= {self.at_most:g}"
        verdict = ("ok" if self.met else "MISSED") if target else ""
        value = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"
        return f"{self.name:<52} {value:>12} {self.unit:<11} {self.runs:>4}  {target:<8} {verdict}"


# ---- the reference plane against a user's script -------------------------------------------------


def measure(which: str, shape: str, hours: int) -> dict[str, Any]:
    """Run one workload in a fresh process and check the work it says it did."""
    command = [sys.executable, "-m", "tests.bench.workload", which, shape, str(DEVICES), str(hours)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    counts = found["counts"]
    due = DEVICES * hours * 60
    # A line's ticks at either end may fall in or out by their jitter; all others are due.
    check(abs(counts["messages"] - due) <= DEVICES, f"{which} {shape}: {counts} of {due}")
    check(counts["attempts"] == counts["accepted"] + counts["refused"], f"{which}: {counts}")
    check(counts["attempts"] >= counts["messages"], f"{which}: {counts}")
    undecided = counts["messages"] - counts["accepted"] - counts["lost"]
    check(0 <= undecided <= 5 * DEVICES, f"{which}: {undecided} undecided of {counts}")
    return found


def check(fact: object, text: str) -> None:
    """End the bench when a measurement did not do its work."""
    if not fact:
        sys.exit(f"the bench did not do its work: {text}")


def compare(shape: str, hours: int, runs: int) -> list[Figure]:
    """Alternate the reference plane and the user's script on one workload."""
    found: dict[str, list[dict[str, Any]]] = {"reference": [], "user": []}
    for _ in range(runs):
        for which, results in found.items():
            results.append(measure(which, shape, hours))
            check(results[0]["counts"] == results[-1]["counts"], f"{which} {shape} differs")
    ours, users = (found[which][0]["counts"] for which in ("reference", "user"))
    # Two programs, two random number generators, one workload: the totals must be close.
    for name in ("messages", "attempts", "accepted"):
        check(abs(ours[name] - users[name]) <= 0.02 * users[name], f"{name}: {ours} {users}")
    speeds = {
        which: [result["counts"]["attempts"] / result["took_s"] for result in results]
        for which, results in found.items()
    }
    ratios = [a / b for a, b in zip(speeds["reference"], speeds["user"], strict=True)]
    peak = {
        which: statistics.median(result["peak_mib"] for result in results)
        for which, results in found.items()
    }
    attempts = f"{ours['attempts']:,} attempts"
    return [
        Figure(
            name=f"reference plane, {shape}, {attempts}",
            value=statistics.median(speeds["reference"]),
            unit="attempts/s",
            runs=runs,
        ),
        Figure(
            name=f"user's SimPy script, {shape}, {users['attempts']:,} attempts",
            value=statistics.median(speeds["user"]),
            unit="attempts/s",
            runs=runs,
        ),
        Figure(
            name=f"ratio reference / user, {shape}",
            value=statistics.median(ratios),
            unit="",
            runs=runs,
            at_least=RATIO_MIN,
        ),
        Figure(
            name=f"peak memory reference plane, {shape}",
            value=peak["reference"],
            unit="MiB",
            runs=runs,
        ),
        Figure(
            name=f"peak memory user's script, {shape}", value=peak["user"], unit="MiB", runs=runs
        ),
    ]


# ---- the command ---------------------------------------------------------------------------------


def seconds_of(arguments: tuple[str, ...], folder: Path) -> tuple[float, str]:
    """Run ``vpg`` in ``folder``; return wall seconds and stdout."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    begun_s = time.perf_counter()
    done = subprocess.run(
        (*VPG, *arguments), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    took_s = time.perf_counter() - begun_s
    # 4: an objective of the scenario failed; that run is complete too.
    check(done.returncode in {0, 4}, f"{arguments}: {done.returncode} {done.stderr}")
    return took_s, done.stdout


def smallest_ready() -> str:
    """Return the name of the shipped scenario with the fewest line-hours."""
    from scenarios.loader import load_scenario
    from scenarios.new import ready_names
    from vpg.catalogue.load import load_catalogue

    catalogue = load_catalogue()
    folder = ROOT / "scenarios" / "ready"

    def line_us(name: str) -> int:
        scenario = load_scenario(folder / f"{name}.yaml", catalogue=catalogue)
        return sum(fleet.lines for fleet in scenario.fleets) * (scenario.end_us - scenario.start_us)

    return min(ready_names(), key=lambda name: (line_us(name), name))


def start_up(runs: int) -> list[Figure]:
    """Time the command itself, cold caches apart (one unmeasured run first)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        smallest = smallest_ready()
        helps = [seconds_of(("--help",), folder) for _ in range(runs + 1)][1:]
        check(all("run" in said for _, said in helps), "--help lists no command")
        timed: dict[str, list[float]] = {"": [], "--no-charts": []}
        for number in range(runs + 1):
            for option, times in timed.items():
                arguments = ("run", smallest, "--json", *([option] if option else []))
                took_s, said = seconds_of(arguments, folder)
                check(json.loads(said)["totals"], f"{arguments} gave no totals")
                if number:
                    times.append(took_s)
    return [
        Figure(
            name="vpg --help",
            value=statistics.median(took_s for took_s, _ in helps),
            unit="s",
            runs=runs,
            at_most=HELP_S_MAX,
        ),
        Figure(
            name=f"vpg run --no-charts {smallest}",
            value=statistics.median(timed["--no-charts"]),
            unit="s",
            runs=runs,
            at_most=RUN_S_MAX,
        ),
        Figure(
            name=f"vpg run {smallest} (with charts)",
            value=statistics.median(timed[""]),
            unit="s",
            runs=runs,
            at_most=RUN_WITH_CHARTS_S_MAX,
        ),
    ]


# ---- the machine, the table ----------------------------------------------------------------------


def machine() -> str:
    """Return what the figures hang on."""
    model = platform.processor() or "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    packages = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("simpy", "numpy", "matplotlib")
    )
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def main() -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each workload (default 3)")
    parser.add_argument("--hours", type=int, default=24, help="simulated hours (default 24)")
    options = parser.parse_args()
    print(machine())
    print(f"{'figure':<52} {'median':>12} {'unit':<11} {'runs':>4}  target", flush=True)
    figures: list[Figure] = []
    parts: tuple[Callable[[], list[Figure]], ...] = (
        lambda: start_up(2 * options.runs + 1),
        lambda: compare("spread", options.hours, options.runs),
        lambda: compare("sync", options.hours, options.runs),
    )
    for part in parts:
        for figure in part():
            figures.append(figure)
            print(figure.line(), flush=True)
    return 0 if all(figure.met for figure in figures) else TARGET_MISSED


if __name__ == "__main__":
    sys.exit(main())
