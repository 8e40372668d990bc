"""Fleets of a scenario file to ``scenarios.model.Fleet``, with the checks inside one fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios import model
from scenarios.build_retry import build_retry
from scenarios.build_traffic import build_sources
from scenarios.schema_fleets import DurationPart
from scenarios.times import us

if TYPE_CHECKING:
    from decimal import Decimal

    from scenarios.context import Context
    from scenarios.places import Path
    from scenarios.schema_fleets import FleetPart, RampPart, SessionPart

KEEPALIVE = "keepalive"


def build_fleet(part: FleetPart, index: int, context: Context) -> model.Fleet:
    """Return the fleet; what is wrong in it is noted, and its place taken by something harmless."""
    path: Path = ("fleets", index)
    session = part.session
    sources = build_sources(part, path, context)
    if session.keepalive_s is not None:
        sources.append(
            model.Periodic(
                name=KEEPALIVE,
                service="ip",
                up=_fixed(session.keepalive_bytes),
                down=_fixed(0),
                every_us=us(session.keepalive_s),
            )
        )
        if any(source.name == KEEPALIVE for source in sources[:-1]):
            context.problem("VPG1264", (*path, "session", "keepalive_s"), value=KEEPALIVE)
    elif "keepalive_bytes" in session.model_fields_set:
        context.problem(
            "VPG1222",
            (*path, "session", "keepalive_bytes"),
            key="keepalive_bytes",
            needs="keepalive_s",
        )
    return model.Fleet(
        name=part.name,
        vpg_id=part.vpg,
        lines=part.lines,
        status=part.status,
        session=_session(session, (*path, "session"), context),
        attach_retry=build_retry(part.attach_retry, (*path, "attach_retry"), context),
        retry=build_retry(part.retry, (*path, "retry"), context),
        outstanding=part.outstanding,
        buffer_messages=part.buffer_messages,
        traffic=tuple(sources),
    )


def _fixed(size_bytes: int) -> model.Payload:
    return model.Payload(kind="fixed", low_bytes=size_bytes, high_bytes=size_bytes)


def _optional_us(seconds: Decimal | None) -> int | None:
    return None if seconds is None else us(seconds)


def _session(part: SessionPart, path: Path, context: Context) -> model.Session:
    if "ramp" in part.model_fields_set and part.attach != "at_start":
        context.problem("VPG1222", (*path, "ramp"), key="ramp", needs="attach: at_start")
    ramp = build_ramp(part.ramp, (*path, "ramp"), context)
    reattach_us = _optional_us(part.reattach_every_s)
    notice_us = _optional_us(part.notice_s)
    duration = part.duration
    if not isinstance(duration, DurationPart):
        return model.Session(
            attach=part.attach, ramp=ramp, reattach_every_us=reattach_us, notice_us=notice_us
        )
    fixed_s, mean_s = duration.fixed_s, duration.exponential_mean_s
    return model.Session(
        attach=part.attach,
        ramp=ramp,
        duration="fixed" if fixed_s is not None else "exponential",
        duration_us=_optional_us(fixed_s) or _optional_us(mean_s) or 0,
        reattach_every_us=reattach_us,
        notice_us=notice_us,
    )


def build_ramp(part: RampPart, path: Path, context: Context) -> model.Ramp:
    """Return the ramp; a length without a shape, or a shape without a length, is noted."""
    over_us = us(part.over_s)
    if part.shape == "at_once" and over_us:
        context.problem("VPG1222", (*path, "over_s"), key="over_s", needs="shape: uniform / beta34")
    if part.shape != "at_once" and not over_us:
        context.problem("VPG1202", path, key="over_s", value="")
    return model.Ramp(shape=part.shape, over_us=over_us)
