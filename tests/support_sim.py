"""Scenarios for tests of the simulator, built as values; no test lives here.

``scenario(...)`` and friends have the plainest meaning as default: one VPG of type C, Small, that
existed before, and no traffic. Limits are the catalogue's; ``limits(...)`` lowers them as a user's
own table does, so that small fleets meet them.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.model import (
    Assumptions,
    Fleet,
    Payload,
    Periodic,
    Poisson,
    RetryPolicy,
    Scenario,
    Session,
    Trace,
    Vpg,
)
from sim.engine_check.limits import limits_table
from sim.run import simulate
from vpg.catalogue.load import load_catalogue
from vpg.rating.histogram import bucket_of
from vpg.rating.hourly import HourlyRow
from vpg.timebase import HOUR_US, SECOND_US

if TYPE_CHECKING:
    from scenarios.model import Event, Source
    from vpg.catalogue.model import Catalogue
    from vpg.results import RunResult

START_US = 1_775_001_600 * SECOND_US
"""2026-04-01 00:00 UTC: a clock hour and the start of a rating month."""
NEVER = RetryPolicy()
TEN = Payload(low_bytes=10, high_bytes=10)
FIVE = Payload(low_bytes=5, high_bytes=5)


def at(seconds: float) -> int:
    """Return the instant ``seconds`` after ``START_US``."""
    return START_US + round(seconds * SECOND_US)


def sec(seconds: float) -> int:
    """Return ``seconds`` in µs."""
    return round(seconds * SECOND_US)


@functools.cache
def limits(**items: int) -> Catalogue:
    """Return the catalogue with some limits replaced, e.g. ``lines_max_c_small=2``."""
    if not items:
        return load_catalogue()
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.toml"
        own.write_text(limits_table(items), encoding="utf-8")
        return load_catalogue([own])


@functools.cache
def small_limits(lines: int, rate: int) -> Catalogue:
    """Return a catalogue whose Small takes so much, Medium 2 and Large 3 times as much."""
    items = {}
    for kind in ("c", "d"):
        for factor, size in enumerate(("small", "medium", "large"), start=1):
            items[f"lines_max_{kind}_{size}"] = lines * factor
            items[f"rate_per_s_{kind}_{size}"] = rate * factor
    return limits(**items)


def vpg(name: str = "v", **more: Any) -> Vpg:
    """Return a VPG: type C, Small, older than the scenario."""
    given: dict[str, Any] = {
        "type": "C",
        "size": "small",
        "created_at_us": START_US,
        "contract_fee": False,
    }
    return Vpg(id=name, **given | more)


def fixed(delay_s: float, tries_max: int | None = None, **more: Any) -> RetryPolicy:
    """Return a policy that waits ``delay_s`` each time, no jitter, no Retry-After."""
    given: dict[str, Any] = {"retry_after": False, "name": "custom"}
    return RetryPolicy(steps=((sec(delay_s), 1),), tries_max=tries_max, **given | more)


def trace(*messages: tuple[float, int], name: str = "t", service: Any = "beam") -> Trace:
    """Return a replay of (seconds after the start, line) with 10 bytes up and 5 down."""
    ordered = sorted(messages, key=lambda one: one[0])
    return Trace(
        name=name,
        service=service,
        up=TEN,
        down=FIVE,
        times_us=tuple(at(seconds) for seconds, _ in ordered),
        lines=tuple(line for _, line in ordered),
        bytes_up=(10,) * len(ordered),
        bytes_down=(5,) * len(ordered),
    )


def every(seconds: float, name: str = "p", **more: Any) -> Periodic:
    """Return ticks each ``seconds``, evenly spread over the lines."""
    given: dict[str, Any] = {"service": "beam", "up": TEN, "down": FIVE, "phase": "even"}
    return Periodic(name=name, every_us=sec(seconds), **given | more)


def poisson(per_hour: float, name: str = "q", **more: Any) -> Poisson:
    """Return independent arrivals, ``per_hour`` an hour and line."""
    given: dict[str, Any] = {"service": "beam", "up": TEN, "down": FIVE}
    return Poisson(name=name, rate_micro_per_hour=round(per_hour * 1_000_000), **given | more)


def fleet(
    name: str = "f", *traffic: Source, lines: int = 1, vpg_id: str = "v", **more: Any
) -> Fleet:
    """Return a fleet that attaches at the start and never retries."""
    given: dict[str, Any] = {"session": Session(attach="at_start")}
    return Fleet(name=name, vpg_id=vpg_id, lines=lines, traffic=traffic, **given | more)


def scenario(
    *fleets: Fleet,
    vpgs: tuple[Vpg, ...] | None = None,
    events: tuple[Event, ...] = (),
    hours: float = 1,
    **more: Any,
) -> Scenario:
    """Return a scenario from ``START_US``; ``more``: assumptions, seed, start or end."""
    own = {name: more.pop(name) for name in ("seed", "start_us", "end_us") if name in more}
    given: dict[str, Any] = {
        "seed": 1,
        "start_us": START_US,
        "end_us": START_US + round(hours * HOUR_US),
    }
    return Scenario(
        name="test",
        title="test",
        vpgs=(vpg(),) if vpgs is None else vpgs,
        fleets=fleets,
        events=tuple(sorted(events, key=lambda event: event.at_us)),
        assumptions=Assumptions(**more),
        **given | own,
    )


def run(what: Scenario, catalogue: Catalogue | None = None) -> RunResult:
    """Simulate under the catalogue as shipped or ``catalogue``."""
    return simulate(what, limits() if catalogue is None else catalogue)


def sums(result: RunResult, vpg_id: str = "v") -> dict[str, int]:
    """Return the sum of every number of the VPG's rows (flows only make sense)."""
    rows = [row for row in result.rows if row.vpg_id == vpg_id]
    names = [name for name in HourlyRow.__slots__ if isinstance(getattr(rows[0], name), int)]
    return {name: sum(getattr(row, name) for row in rows) for name in names}


ON_REPORT = Session(attach="on_report")


def flows(what: Scenario, lines: int = 1000, rate: int = 30) -> dict[str, int]:
    """Return the flows summed over the run, under a Small of these limits."""
    return sums(run(what, small_limits(lines, rate)))


def by_hour(result: RunResult, name: str) -> list[Any]:
    """Return a column hour by hour."""
    return [getattr(row, name) for row in result.rows]


def delays_of(result: RunResult) -> dict[int, int]:
    """Return the histogram of a run of one row."""
    (counts,) = result.delays.values()
    return counts


def expected_delays(*seconds: float) -> dict[int, int]:
    """Return the histogram of these delays."""
    buckets = [bucket_of(sec(each)) for each in seconds]
    return {bucket: buckets.count(bucket) for bucket in buckets}
