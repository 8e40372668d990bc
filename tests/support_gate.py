"""Made-up recordings of the gate, with noise that is known; no test lives here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadtests.gate.values import (
    BUDGETS,
    FIGURES,
    Canary,
    Count,
    Machine,
    Recording,
    Reference,
    Restart,
    Revision,
    Round,
    Sample,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TYPICAL = {
    "singles_per_s": 15_000.0,
    "batched_per_s": 120_000.0,
    "cpu_us_per_single": 45.0,
    "cpu_us_per_batched": 7.5,
    "latency_us_p50": 600.0,
    "latency_us_p99": 2_000.0,
    "memory_kib": 80_000.0,
}
COUNT = Count(acknowledged=10_000, stored=10_000, refused=0, unknown=0)


def made(
    roles: Sequence[str],
    *,
    seed: int,
    noise: float = 0.01,
    restarts: int = 5,
    rounds: int = 6,
    slowness: float = 1.0,
    changes: Mapping[str, Mapping[str, float]] | None = None,
    budgets: Mapping[str, Mapping[str, float]] | None = None,
    counts: Mapping[str, Count] | None = None,
) -> Recording:
    """Return a recording; ``changes``: role → figure → factor; ``slowness``: of the machine.

    Rounds scatter by ``noise``, the machine's speed from round to round by 20 %, starts by 0.5 %.
    """
    rng = np.random.default_rng(seed)
    made_restarts = []
    for _ in range(restarts):
        starts = {role: rng.normal(0, 0.005) for role in roles}
        found = []
        for _ in range(rounds):
            speed = slowness * float(np.exp(rng.normal(0, 0.2)))
            samples = {
                role: _sample(rng, noise, starts[role], speed, (changes or {}).get(role, {}))
                for role in roles
            }
            reference = Reference(cpu_us=20_000 * speed, wall_us=25_000 * speed)
            found.append(Round(samples=samples, reference=reference))
        spent = {
            role: {name: 100 * (budgets or {}).get(role, {}).get(name, 1.0) for name in BUDGETS}
            for role in roles
        }
        told = {role: (counts or {}).get(role, COUNT) for role in roles}
        made_restarts.append(Restart(rounds=found, counts=told, budgets=spent))
    canary = Canary(cpu_us=800.0, sync_us=30.0, cross_core_us=8.0)
    return Recording(
        date="2026-11-22",
        seed=seed,
        rate_per_s=5_000.0,
        machine=Machine(
            processor="made up", cores=2, system="none", python="3.11", core=1, steal=0.0
        ),
        revisions={role: Revision(name=role, commit="") for role in roles},
        canaries=[canary, canary],
        restarts=made_restarts,
    )


def _sample(
    rng: np.random.Generator,
    noise: float,
    start: float,
    speed: float,
    changes: Mapping[str, float],
) -> Sample:
    values = {}
    for figure in FIGURES:
        value = TYPICAL[figure.name] * changes.get(figure.name, 1.0)
        if figure.yardstick:
            value *= 1 / speed if figure.more_is_better else speed
            value *= float(np.exp(start + rng.normal(0, noise)))
        values[figure.name] = value
    return Sample(**values, late_us_p99=500.0, client_cpu_us=12 * speed)
