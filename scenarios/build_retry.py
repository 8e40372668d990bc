"""Retry policies: the presets with their sources, and policies spelt out in a file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from scenarios.model import RetryPolicy
from scenarios.schema_fleets import RetryPart
from scenarios.times import ppm, us
from vpg.timebase import MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from scenarios.context import Context
    from scenarios.places import Path

HALF_PPM = 500_000
STEPS_MAX = 1000

PRESETS: dict[str, RetryPolicy] = {
    "none": RetryPolicy(name="none"),
    "fixed_60s": RetryPolicy(name="fixed_60s", steps=((60 * SECOND_US, 1),)),
    "nas_standard": RetryPolicy(
        name="nas_standard", steps=((10 * SECOND_US, 5), (12 * MINUTE_US, 1)), cycle=True
    ),
    "exp_backoff_jitter": RetryPolicy(
        name="exp_backoff_jitter",
        steps=tuple((minutes * MINUTE_US, 1) for minutes in (1, 2, 4, 8, 16, 30)),
        jitter_ppm=HALF_PPM,
    ),
    "rpm_limited": RetryPolicy(
        name="rpm_limited",
        steps=((10 * SECOND_US, 59), (3010 * SECOND_US, 1)),
        cycle=True,
    ),
}
"""Named policies.

* ``fixed_60s``: the vendor's hands-on connector script sleeps 60 s between dials, no jitter.
* ``nas_standard``: 3GPP TS 24.301, T3411 10 s with an attempt counter of 5, then T3402 12 min.
* ``exp_backoff_jitter``: GSMA TS.34 style 1, 2, 4 … 30 min, each drawn from half to one and a half.
* ``rpm_limited``: a module's radio policy manager, 60 tries an hour, then silent until the hour is
  over.
"""


def build_retry(value: str | RetryPart, path: Path, context: Context) -> RetryPolicy:
    """Return the policy that ``value`` names or spells out; contradictions are noted."""
    if not isinstance(value, RetryPart):
        return PRESETS[value]
    _check_keys(value, path, context)
    if value.preset is not None:
        policy = PRESETS[value.preset]
    elif value.steps is not None:
        steps = tuple((us(step.delay_s), step.count) for step in value.steps)
        policy = RetryPolicy(name="custom", steps=steps, cycle=bool(value.cycle))
    else:
        policy = RetryPolicy(name="custom", steps=_exponential(value, path, context))
    changes: dict[str, int | bool] = {}
    if value.tries_max is not None:
        changes["tries_max"] = value.tries_max
    if value.deadline_s is not None:
        changes["deadline_us"] = us(value.deadline_s)
    if value.jitter_percent is not None:
        changes["jitter_ppm"] = ppm(value.jitter_percent)
    if value.retry_after is not None:
        changes["retry_after"] = value.retry_after
    return dataclasses.replace(policy, **changes)  # type: ignore[arg-type]


def _check_keys(value: RetryPart, path: Path, context: Context) -> None:
    for key, needs in (("cycle", "steps"), ("factor", "base_s"), ("cap_s", "base_s")):
        if getattr(value, key) is not None and getattr(value, needs) is None:
            context.problem("VPG1222", (*path, key), key=key, needs=needs)
    if value.base_s is not None and value.cap_s is None:
        context.problem("VPG1202", path, key="cap_s", value="")


def _exponential(value: RetryPart, path: Path, context: Context) -> tuple[tuple[int, int], ...]:
    """Return the waits base, base × factor, … up to the cap, in whole µs."""
    if value.base_s is None or value.cap_s is None:
        return ()
    if value.cap_s < value.base_s:
        context.problem(
            "VPG1263", (*path, "cap_s"), low_key="base_s", low=value.base_s, high=value.cap_s
        )
        return ()
    wait = value.base_s
    steps: list[tuple[int, int]] = []
    factor = value.factor if value.factor is not None else 2
    while wait < value.cap_s and len(steps) < STEPS_MAX:
        steps.append((us(wait), 1))
        wait *= factor
    return (*steps, (us(value.cap_s), 1))
