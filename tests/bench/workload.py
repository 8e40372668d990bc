"""One measurement of one plane in a process of its own, so that its memory is its own.

``python -m tests.bench.workload reference|user spread|sync DEVICES HOURS`` prints one JSON object:
the counts, the seconds of the run itself (imports and reading the scenario apart) and the process's
peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

SEED = 20260401

SCENARIO = """\
vpgsim: 1
name: bench
start: 2026-04-01T09:00:00+09:00
duration_h: {hours}
seed: {seed}
vpgs:
  - {{id: v1, type: C, size: small}}
fleets:
  - name: meters
    vpg: v1
    lines: {devices}
    session: {{attach: at_start}}
    retry:
      {{base_s: 1, factor: 2, cap_s: 16, tries_max: 5, jitter_percent: 50, retry_after: false}}
    traffic:
      - {{kind: periodic, every_s: 60, jitter_s: 5, phase: {phase}}}
"""


def reference(*, devices: int, hours: int, spread: bool) -> tuple[dict[str, int], float]:
    """Run the workload on the product's reference plane; return its counts and seconds."""
    from scenarios.loader import load_scenario
    from sim.run import simulate
    from vpg.catalogue.load import load_catalogue

    catalogue = load_catalogue()
    text = SCENARIO.format(
        hours=hours, seed=SEED, devices=devices, phase="uniform" if spread else "clock"
    )
    scenario = load_scenario(text, catalogue=catalogue)
    begun_s = time.perf_counter()
    result = simulate(scenario, catalogue)
    took_s = time.perf_counter() - begun_s
    rows = result.rows
    lost = sum(row.lost_tries for row in rows)
    counts = {
        "messages": sum(row.messages_offered for row in rows),
        "attempts": sum(row.attempts_beam for row in rows),
        "accepted": sum(row.accepted_beam for row in rows),
        "refused": sum(row.throttled_beam + row.no_session_beam for row in rows),
        "lost": lost,
    }
    return counts, took_s


def user(*, devices: int, hours: int, spread: bool) -> tuple[dict[str, int], float]:
    """Run the workload as a user's script; return its counts and seconds."""
    from tests.bench import user_simpy

    begun_s = time.perf_counter()
    counts = user_simpy.simulate(devices=devices, hours=hours, spread=spread, seed=SEED)
    took_s = time.perf_counter() - begun_s
    return {
        "messages": counts.messages,
        "attempts": counts.attempts,
        "accepted": counts.accepted,
        "refused": counts.attempts - counts.accepted,
        "lost": counts.lost,
    }, took_s


def main(arguments: list[str]) -> None:
    """Measure what the command line names and print it as JSON."""
    which, shape, devices, hours = arguments
    run: Any = {"reference": reference, "user": user}[which]
    counts, took_s = run(devices=int(devices), hours=int(hours), spread=shape == "spread")
    print(json.dumps({"counts": counts, "took_s": took_s, "peak_mib": peak_kib() / 1024}))


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
