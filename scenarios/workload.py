"""How much a run has to do, and limits that no request can ever pass: told before the run.

Owns: the estimate of messages and its bounds, the least cost of a request. Does not own: what the
limiter does (``vpg.gateway.limiter``) or how fast a run is (``sim``). Times are µs.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from scenarios import model
from scenarios.build_vpgs import SIZED_TYPES
from vpg.catalogue.items import suffix
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scenarios.build_events import Placed
    from scenarios.context import Context
    from scenarios.places import Path

MESSAGES_MAX = 20_000_000_000
"""More is a slip of a unit, or hours of work: five at ``MESSAGES_PER_S``."""
SLOW_S = 60
"""From here on a run is announced as one to wait for."""
MESSAGES_PER_S = 1_000_000
"""What the compiled plane does in a second where it takes attempt by attempt, roughly."""
TICKS_PER_S = 20_000_000
"""The same of periodic messages, which it counts: three to eighty million, by how many retry."""
SILENT = frozenset(("suspended", "terminated"))
"""Statuses whose lines create nothing."""


def expected_s(
    fleets: Sequence[model.Fleet], events: Iterable[model.Event], start_us: int, end_us: int
) -> int:
    """Return about how many seconds a run takes, retries left out."""
    ticking = [
        dataclasses.replace(fleet, traffic=tuple(filter(_ticks, fleet.traffic))) for fleet in fleets
    ]
    happenings = list(events)
    whole = expected_messages(fleets, happenings, start_us, end_us)
    ticks = expected_messages(ticking, happenings, start_us, end_us)
    return (whole - ticks) // MESSAGES_PER_S + ticks // TICKS_PER_S


def _ticks(source: model.Source) -> bool:
    return isinstance(source, model.Periodic | model.Reporting)


def expected_messages(
    fleets: Sequence[model.Fleet], events: Iterable[model.Event], start_us: int, end_us: int
) -> int:
    """Return about how many messages the lines create.

    Left out: retries, and lines whose status changes.
    """
    line_us = {fleet.name: _line_us(fleet, end_us - start_us) for fleet in fleets}
    lines = {fleet.name: 0 if fleet.status in SILENT else fleet.lines for fleet in fleets}
    for event in events:
        if isinstance(event, model.Growth) and event.fleet in line_us:
            line_us[event.fleet] += event.lines * (end_us - event.at_us)
            lines[event.fleet] += event.lines
    return sum(
        _messages(source, line_us[fleet.name], lines[fleet.name], start_us, end_us)
        for fleet in fleets
        for source in fleet.traffic
    )


def _line_us(fleet: model.Fleet, run_us: int) -> int:
    return 0 if fleet.status in SILENT else fleet.lines * run_us


def _messages(source: model.Source, line_us: int, lines: int, start_us: int, end_us: int) -> int:
    """Return what a source creates in ``line_us`` (lines × µs) of a run."""
    match source:
        case model.Periodic():
            whole = line_us // source.every_us
        case model.Poisson():
            whole = line_us * source.rate_micro_per_hour // (HOUR_US * model.MILLION)
        case model.Reporting():
            total = sum(weight for _, weight in source.intervals) or 1
            whole = sum(line_us * weight // (us * total) for us, weight in source.intervals)
        case model.Burst():
            repeat_us = source.repeat_us
            times = 1 + max(end_us - source.at_us - 1, 0) // repeat_us if repeat_us else 1
            whole = lines * times
        case model.DemandCurve():
            inside = zip(source.begins_us, source.ends_us, source.micro_messages, strict=True)
            micro = sum(m for begin, end, m in inside if end > start_us and begin < end_us)
            return micro // model.MILLION
        case model.Trace():
            return len(source.times_us)
    return whole * source.share_ppm // model.MILLION


def check_work(fleets: Sequence[model.Fleet], events: Iterable[Placed], context: Context) -> None:
    """Note a run that creates more messages than anybody waits for."""
    if context.start_us is None or context.end_us is None:
        return
    happenings = [event for event, _ in events]
    count = expected_messages(fleets, happenings, context.start_us, context.end_us)
    if count > MESSAGES_MAX:
        context.problem("VPG1601", ("fleets",), value=f"{count:,}", most=f"{MESSAGES_MAX:,}")


def check_limiters(
    vpgs: Sequence[tuple[model.Vpg, Path]],
    fleets: Iterable[model.Fleet],
    events: Iterable[Placed],
    assumptions: model.Assumptions,
    context: Context,
) -> None:
    """Note a limiter that refuses every Beam request for ever, and one asked for two answers."""
    flagging = assumptions.a03_above_rate == "accept_and_flag"
    for vpg, path in vpgs:
        if flagging and vpg.limiter.above == "queue":
            other = "assumptions.above_rate: accept_and_flag"
            context.problem("VPG1299", (*path, "limiter", "above"), key="above: queue", other=other)
    if assumptions.a06_beam_legs != "both" or flagging:
        return
    cost = 2
    beaming = {f.vpg_id for f in fleets if any(s.service == "beam" for s in f.traffic)}
    found: list[tuple[model.Vpg, str, str, int, Path]] = []
    for vpg, path in vpgs:
        found.append((vpg, vpg.type, vpg.size, vpg.created_at_us, (*path, "type")))
        burst = vpg.limiter.burst_requests
        if vpg.id in beaming and burst is not None and burst < cost:
            context.problem("VPG1602", (*path, "limiter", "burst_requests"), value=burst, cost=cost)
    by_id = {vpg.id: vpg for vpg, _ in vpgs}
    found += [
        (by_id[event.vpg_id], event.type, event.size, event.at_us, path)
        for event, path in events
        if isinstance(event, model.Recreate) and event.vpg_id in by_id
    ]
    for vpg, kind, size, at_us, path in found:
        fits = bool(size) == (kind in SIZED_TYPES)
        if vpg.id not in beaming or vpg.limiter.burst_requests is not None or not fits:
            continue
        rate = context.catalogue.count(f"rate_per_s_{suffix(kind, size)}", at_us)
        if rate is not None and rate < cost:
            context.problem("VPG1603", path, value=rate, cost=cost)
