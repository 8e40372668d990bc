"""From what a load was asked to a plan: the shape as instants, the target's lines, the bounds.

Owns: the bounds of a load and their messages, and the plan of a plain ``locust -f``. Does not own:
carrying it out (``loadrun``). Times: whole seconds where a person gives them; µs inside.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from loadtests import schedule as shapes
from loadtests.plan import Kind, LoadPlan
from loadtests.rating_run import EVENTS_MAX
from loadtests.target import Target
from vpg.errors import InputError, Problem, UsageError
from vpg.service.plan import API, PORTS
from vpg.timebase import HOUR_US, hour_start, month_start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.intended import Send
    from loadtests.plan import LoadLine
    from loadtests.schedule import Ints, Schedule

Law = Literal["even", "poisson", "steps", "model2", "demand", "scenario"]
RATE_MAX: Final = 50_000
FOR_MAX_S: Final = 3_600
PROCESSES_MAX: Final = 16
CONNECTIONS_MAX: Final = 10_000
LINES_MAX: Final = 100_000
_SCENARIO_LINES_MAX: Final = 1_000_000
_PER_PERCENT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """A scenario's own sends, and where its time begins."""

    sends: Iterable[Send]
    begin_us: int
    speed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a load is to be, whatever its target."""

    kind: Kind
    law: Law = "even"
    rate_per_s: int = 50
    for_s: int = 10
    steps: tuple[tuple[int, int], ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    meant: Meant | None = None
    services: tuple[str, ...] = ("beam",)
    """Empty: each send's own (of a scenario)."""
    bytes_up: int = 256
    bytes_down: int = 64
    lines_max: int = 1_000
    batch: int = 1
    duplicates_percent: int = 0
    late_percent: int = 0
    late_s: int = 3_600
    processes: int = 1
    connections_max: int = 1_000
    timeout_s: int = 30
    seed: int = 1


def instants(load: Load) -> Ints:
    """Return when its sends are meant to leave; raises ``UsageError`` (VPG1911) above bounds."""
    expected, length_s = load.rate_per_s * load.for_s, load.for_s
    if load.law == "steps":
        expected = sum(rate * seconds for rate, seconds in load.steps)
        length_s = sum(seconds for _, seconds in load.steps)
    if load.law == "demand":
        expected = int(shapes.demand_sends(load.points))
        length_s = int(load.points[-1][0] - load.points[0][0])
    if length_s > FOR_MAX_S:
        raise _above("seconds", length_s, FOR_MAX_S)
    check_sends(load, expected)
    match load.law:
        case "poisson":
            return shapes.poisson(load.rate_per_s, load.for_s, load.seed)
        case "steps":
            return shapes.steps(load.steps)
        case "model2":
            return shapes.model2(expected, load.for_s, load.seed)
        case "demand":
            return shapes.demand(load.points)
        case _:
            return shapes.even(load.rate_per_s, load.for_s)


def check_sends(load: Load, sends: int) -> None:
    """Raise ``UsageError`` (VPG1911) for more sends, or events in them, than a load may have."""
    if sends > shapes.SENDS_MAX:
        raise _above("requests", sends, shapes.SENDS_MAX)
    if sends * load.batch > EVENTS_MAX:
        raise _above("events", sends * load.batch, EVENTS_MAX)


def _above(what: str, value: int, most: int) -> UsageError:
    return UsageError(Problem(code="VPG1911", values={"what": what, "value": value, "most": most}))


def planned(
    load: Load, target: Target, addresses: dict[str, tuple[str, int]], token: str = ""
) -> tuple[LoadPlan, Schedule]:
    """Return plan and schedule of ``load`` for ``target``."""
    lines, schedule = _sends(load, target)
    now_us = target.now_us()
    run = f"{time.time_ns():x}-{os.getpid():x}"
    plan = LoadPlan(
        kind=load.kind,
        source=f"urn:vpg-load:{run}",
        seed=load.seed,
        processes=load.processes,
        begin_us=now_us,
        addresses=addresses,
        lines=lines,
        token=token,
        batch=load.batch,
        duplicates_ppm=load.duplicates_percent * _PER_PERCENT,
        late_ppm=load.late_percent * _PER_PERCENT,
        late_us=load.late_s * 1_000_000,
        oldest_us=_oldest_us(target, lines, now_us) if load.late_percent else now_us,
        connections_max=load.connections_max,
        timeout_s=load.timeout_s,
    )
    return plan, schedule


def _sends(load: Load, target: Target) -> tuple[tuple[LoadLine, ...], Schedule]:
    if load.meant is None:
        offsets = instants(load)
        lines = target.lines(load.lines_max)
        return lines, shapes.spread(
            offsets,
            lines=len(lines),
            services=load.services,
            bytes_up=load.bytes_up,
            bytes_down=load.bytes_down,
        )
    lines = target.lines(_SCENARIO_LINES_MAX, also_inactive=True)
    places: dict[tuple[str, int], int] = {}
    seen: dict[str, int] = {}
    for place, line in enumerate(lines):
        number = seen.get(line.group_id, 0)
        places[line.group_id, number] = place
        seen[line.group_id] = number + 1
    schedule = shapes.of_sends(
        load.meant.sends,
        begin_us=load.meant.begin_us,
        speed=load.meant.speed,
        lines=places,
        service=load.services[0] if load.services else "",
    )
    check_sends(load, len(schedule))
    if not len(schedule):
        values = {"url": target.url, "reason": "none of the scenario's lines sends in that time"}
        raise InputError([Problem(code="VPG1910", values=values)])
    return lines, schedule


def _oldest_us(target: Target, lines: tuple[LoadLine, ...], now_us: int) -> int:
    """Return an instant since which every VPG is known to exist."""
    first: dict[str, int] = {}
    for row in target.hourly(month_start(now_us), now_us):
        if row.vpg_exists:
            first[row.vpg_id] = min(first.get(row.vpg_id, row.hour_start_us), row.hour_start_us)
    known = [first.get(vpg_id, now_us) for vpg_id in {line.vpg_id for line in lines}]
    # Of its first hour, a VPG may have existed in the last moment only.
    oldest_us = hour_start(max(known)) + HOUR_US
    return min(now_us, max(oldest_us, month_start(now_us)))


def entry_addresses(
    host: str, services: Iterable[str], ports: dict[str, int] | None = None
) -> dict[str, tuple[str, int]]:
    """Return the addresses of entry points on ``host``; ports are the usual ones unless told."""
    told = ports or {}
    return {name: (host, told.get(name, PORTS[name])) for name in services}


def plain_plan(kind: Kind, options: Any, *, processes: int) -> tuple[LoadPlan, Schedule]:  # noqa: ANN401 - Locust's options
    """Return the plan of a plain ``locust -f``, out of its options."""
    load = Load(
        kind=kind,
        rate_per_s=options.vpg_rate,
        for_s=options.vpg_for_s,
        batch=options.vpg_batch,
        seed=options.vpg_seed,
        processes=processes,
    )
    url = options.host or f"http://127.0.0.1:{PORTS[API]}"
    with Target(url) as target:
        target.check()
        addresses = {API: (target.host, target.port)}
        if kind == "gateway":
            addresses |= entry_addresses(target.host, load.services)
        return planned(load, target, addresses)
