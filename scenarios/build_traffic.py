"""Traffic of a scenario file to ``scenarios.model`` sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from scenarios import model, tables
from scenarios.places import shorten
from scenarios.schema_traffic import (
    DemandCurvePart,
    Model1Part,
    Model2Part,
    PayloadPart,
    PeriodicPart,
    PoissonPart,
    ReportingPart,
    TracePart,
)
from scenarios.times import ppm, us
from vpg.timebase import MINUTE_US

if TYPE_CHECKING:
    from scenarios.context import Context
    from scenarios.places import Path
    from scenarios.schema_fleets import FleetPart

TR45820_INTERVALS = (
    (1440 * MINUTE_US, 40),
    (120 * MINUTE_US, 40),
    (60 * MINUTE_US, 15),
    (30 * MINUTE_US, 5),
)
"""(interval, percent of lines). Source: 3GPP TR 45.820 annex E, mobile autonomous reporting."""
_HUNDRED = 100
LINE_MESSAGES_MAX = 360_000
"""Most messages of one line in one interval (100 a second for an hour)."""


class _Base(TypedDict):
    name: str
    service: model.ServiceName
    up: model.Payload
    down: model.Payload
    share_ppm: int


def build_sources(fleet: FleetPart, above: Path, context: Context) -> list[model.Source]:
    """Return the sources of ``fleet`` (without the keep-alive); what is wrong is noted."""
    sources: list[model.Source] = []
    seen: dict[str, int] = {}
    for index, part in enumerate(fleet.traffic):
        path = (*above, "traffic", index)
        name = part.name or f"s{index}"
        if name in seen:
            context.problem("VPG1265", (*path, "name"), value=name, first=seen[name])
        seen.setdefault(name, context.node.place_of((*path, "name")).line)
        base = _Base(
            name=name,
            service=part.service,
            up=build_payload(part.payload_bytes, (*path, "payload_bytes"), context),
            down=build_payload(part.answer_bytes, (*path, "answer_bytes"), context),
            share_ppm=ppm(part.share_percent),
        )
        source: model.Source | None = None
        match part:
            case PeriodicPart():
                source = _periodic(part, base, path, context)
            case PoissonPart():
                rate = int(part.messages_per_hour * model.MILLION)
                source = model.Poisson(**base, rate_micro_per_hour=rate)
            case Model1Part() | Model2Part():
                source = _burst(part, base, path, context)
            case ReportingPart():
                intervals = _intervals(part, path, context)
                source = model.Reporting(**base, intervals=intervals)
            case DemandCurvePart():
                source = _demand(part, base, fleet.lines, path, context)
            case TracePart():
                source = _trace(part, base, fleet.lines, path, context)
        if source is not None:
            sources.append(source)
    return sources


def build_payload(value: int | PayloadPart, path: Path, context: Context) -> model.Payload:
    """Return the distribution of sizes; bounds in the wrong order are noted."""
    if not isinstance(value, PayloadPart):
        return model.Payload(kind="fixed", low_bytes=value, high_bytes=value)
    if value.uniform is not None:
        low, high = value.uniform
        if low > high:
            context.problem("VPG1263", (*path, "uniform"), low_key="[0]", low=low, high=high)
        return model.Payload(kind="uniform", low_bytes=low, high_bytes=high)
    if value.pareto is not None:
        pareto = value.pareto
        if pareto.min_bytes > pareto.max_bytes:
            context.problem(
                "VPG1263",
                (*path, "pareto", "max_bytes"),
                low_key="min_bytes",
                low=pareto.min_bytes,
                high=pareto.max_bytes,
            )
        return model.Payload(
            kind="pareto",
            low_bytes=pareto.min_bytes,
            high_bytes=pareto.max_bytes,
            shape_milli=int(pareto.shape * 1000),
        )
    choices = tuple((choice.bytes, choice.weight) for choice in value.choice or ())
    sizes = [size for size, _ in choices]
    return model.Payload(
        kind="choice", low_bytes=min(sizes), high_bytes=max(sizes), choices=choices
    )


def _periodic(part: PeriodicPart, base: _Base, path: Path, context: Context) -> model.Periodic:
    every_us, jitter_us = us(part.every_s), us(part.jitter_s)
    offset_us = us(part.offset_s) if part.offset_s is not None else 0
    if part.offset_s is not None and part.phase != "clock":
        context.problem("VPG1222", (*path, "offset_s"), key="offset_s", needs="phase: clock")
    for key, value_us in (("offset_s", offset_us), ("jitter_s", jitter_us)):
        if value_us > every_us or (key == "offset_s" and value_us == every_us):
            context.problem("VPG1266", (*path, key), value=getattr(part, key), every=part.every_s)
    return model.Periodic(
        **base, every_us=every_us, phase=part.phase, offset_us=offset_us, jitter_us=jitter_us
    )


def _burst(
    part: Model1Part | Model2Part, base: _Base, path: Path, context: Context
) -> model.Burst | None:
    at_us = context.moment(part.at, (*path, "at"))
    if not context.within_run(at_us, part.at, (*path, "at")) or at_us is None:
        return None
    over_us = us(part.over_s)
    repeat_us = None if part.repeat_s is None else us(part.repeat_s)
    if repeat_us is not None and repeat_us < over_us:
        context.problem(
            "VPG1263", (*path, "repeat_s"), low_key="over_s", low=part.over_s, high=part.repeat_s
        )
    shape: Literal["uniform", "beta34"] = "uniform" if isinstance(part, Model1Part) else "beta34"
    return model.Burst(**base, at_us=at_us, over_us=over_us, shape=shape, repeat_us=repeat_us)


def _intervals(part: ReportingPart, path: Path, context: Context) -> tuple[tuple[int, int], ...]:
    if part.intervals is None:
        return TR45820_INTERVALS
    total = sum(interval.percent for interval in part.intervals)
    if total != _HUNDRED:
        context.problem("VPG1267", (*path, "intervals"), value=total)
    return tuple((us(item.every_s), ppm(item.percent)) for item in part.intervals)


def _demand(
    part: DemandCurvePart, base: _Base, lines: int, path: Path, context: Context
) -> model.DemandCurve | None:
    points: list[tables.Point] | None = []
    where = (*path, "points")
    if part.file is not None:
        where = (*path, "file")
        points = tables.demand_file(part.file, where, context)
    for index, point in enumerate(part.points or ()):
        here = (*path, "points", index)
        begins_us = context.instant(point.begins_at, (*here, "begins_at"))
        ends_us = context.instant(point.ends_at, (*here, "ends_at"))
        if begins_us is None or ends_us is None or points is None:
            points = None
            continue
        place = context.node.place_of(here)
        points.append(tables.Point(place, begins_us, ends_us, point.messages))
    intervals = tables.intervals(points, part.scale, where, context) if points else None
    if not intervals:
        return None
    begins, ends, micro = zip(*intervals, strict=True)
    if max(micro) > LINE_MESSAGES_MAX * lines * model.MILLION:
        most = LINE_MESSAGES_MAX * lines
        context.problem("VPG1298", where, value=max(micro) // model.MILLION, most=most)
    return model.DemandCurve(**base, begins_us=begins, ends_us=ends, micro_messages=micro)


def _trace(
    part: TracePart, base: _Base, lines: int, path: Path, context: Context
) -> model.Trace | None:
    for key in sorted(part.model_fields_set & {"payload_bytes", "answer_bytes"}):
        context.problem("VPG1222", (*path, key), key=key, needs=f"kind ≠ {shorten(part.kind)}")
    rows = tables.trace_file(part.file, lines, (*path, "file"), context)
    if not rows:
        return None
    times, numbers, up, down = zip(*rows, strict=True)
    return model.Trace(**base, times_us=times, lines=numbers, bytes_up=up, bytes_down=down)
