"""The command itself, from Enter to the prompt: help, the smallest run, and the first compile."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import measure
from tests.bench.figures import ROOT, Figure, check
from tests.bench.spec import Workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.figures import Options

HELP_S_MAX = 0.3
RUN_S_MAX = 1.5
RUN_WITH_CHARTS_S_MAX = 4.0
COMPILE_S_MAX = 15.0
PEAK_FILE = "VPGSIM_BENCH_PEAK"
CODE = f"""
import atexit, os
from vpg.cli.main import main
def note():
    with open("/proc/self/status") as status, open(os.environ["{PEAK_FILE}"], "w") as file:
        file.write(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
if os.path.exists("/proc/self/status"):
    atexit.register(note)
main()
"""
"""Notes the peak memory at the end; costs nothing that can be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One call of the command."""

    took_s: float
    peak_mib: float
    said: str


def call(arguments: tuple[str, ...], folder: Path, **environment: str) -> Called:
    """Run ``vpg`` in ``folder``."""
    note = folder / "peak"
    note.unlink(missing_ok=True)
    here = {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", PEAK_FILE: str(note), **environment}
    begun_s = time.perf_counter()
    done = subprocess.run(
        (sys.executable, "-c", CODE, *arguments),
        cwd=folder,
        env={**os.environ, **here},
        capture_output=True,
        text=True,
        check=False,
    )
    took_s = time.perf_counter() - begun_s
    # 4: an objective of the scenario failed; that run is complete too.
    check(done.returncode in {0, 4}, f"{arguments}: {done.returncode} {done.stderr}")
    peak_kib = int(note.read_text(encoding="utf-8")) if note.exists() else 0
    return Called(took_s=took_s, peak_mib=peak_kib / 1024, said=done.stdout)


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


def command(options: Options) -> Iterator[Figure]:
    """Time the command itself, in turns; a first round, caches cold, is not counted."""
    smallest = smallest_ready()
    runs = 1 if options.short else 2 * options.runs + 1
    goals: dict[tuple[str, ...], float] = {
        ("--help",): HELP_S_MAX,
        ("run", smallest, "--json", "--no-charts"): RUN_S_MAX,
        ("run", smallest, "--json"): RUN_WITH_CHARTS_S_MAX,
    }
    with tempfile.TemporaryDirectory() as name:
        # Small runs take the reference plane unless told otherwise.
        if "--engine" in call(("run", "--help"), Path(name)).said:
            goals["run", smallest, "--json", "--no-charts", "--engine", "compiled"] = RUN_S_MAX
        calls: dict[tuple[str, ...], list[Called]] = {arguments: [] for arguments in goals}
        for number in range(0 if options.short else -1, runs):
            for arguments, results in calls.items():
                called = call(arguments, Path(name))
                worked = "run" if arguments == ("--help",) else '"totals"'
                check(worked in called.said, f"{arguments} gave no answer")
                if number >= 0:
                    results.append(called)
    for arguments, results in calls.items():
        title = " ".join(("vpg", *(word for word in arguments if word != "--json")))
        took_s = statistics.median(one.took_s for one in results)
        goal = options.goal(goals[arguments])
        yield Figure(name=title, value=took_s, unit="s", runs=runs, at_most=goal)
        mib = statistics.median(one.peak_mib for one in results)
        yield Figure(name=f"{title}: peak memory", value=mib, unit="MiB", runs=runs)
    yield from compiling(options)


def compiling(options: Options) -> Iterator[Figure]:
    """Time the first run of compiled code on a machine that has none, and the next one."""
    title = "first compile"
    if options.short:
        yield Figure(name=title, skipped="not in the short form")
        return
    with tempfile.TemporaryDirectory() as name:
        empty = {"XDG_CACHE_HOME": name}
        little = Workload(lines=10, hours=1)
        first = measure.measure("compiled", little, empty)
        check(any(Path(name).rglob("*.nbc")), "no machine code was kept")
        again = [measure.measure("compiled", little, empty) for _ in range(options.runs)]
        if re.search(r"^\s+warm\b", call(("--help",), Path(name)).said, re.MULTILINE):
            with tempfile.TemporaryDirectory() as other:
                warm = call(("warm",), Path(name), XDG_CACHE_HOME=other)
            yield Figure(name="vpg warm, nothing kept", value=warm.took_s, unit="s", runs=1)
    loaded_s = statistics.median(run.ready_s for run in again)
    most_s = COMPILE_S_MAX
    made_s = first.ready_s - loaded_s
    yield Figure(name=title, value=made_s, unit="s", runs=1, at_most=most_s)
    yield measure.peak(title, [first])
    yield Figure(name="imports and kept machine code", value=loaded_s, unit="s", runs=options.runs)
    yield measure.peak("imports and kept machine code", again)
