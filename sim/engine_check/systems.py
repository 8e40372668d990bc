"""Textbook systems as scenarios: plain values that anybody could write into a scenario's file.

Owns: how a system of queueing theory is set up with keys of the product. Does not own: laws
(``sim.theory``) or which systems are checked (``cases``). A run begins ten minutes before a clock
hour; hourly rows from that hour on are measured, so an empty start is forgotten.
"""

from __future__ import annotations

from typing import Literal

from scenarios.model import (
    Assumptions,
    Fleet,
    Limiter,
    Payload,
    Periodic,
    Poisson,
    Scenario,
    Session,
    Vpg,
)
from vpg.timebase import HOUR_US, MINUTE_US, SECOND_US

MEASURED_FROM_US = 1_775_001_600 * SECOND_US
"""2026-04-01 00:00 UTC: a clock hour."""
WARM_UP_US = 10 * MINUTE_US
SERVER_LINES = 20
"""Lines that share a Poisson stream; their sum is Poisson whatever their number."""
PATIENCE_US = 100 * HOUR_US
"""A deadline that nobody meets."""
_BYTES = Payload(low_bytes=100, high_bytes=100)
_MICRO = 1_000_000

Holding = Literal["exponential", "fixed"]


def queue(*, burst: int = 1, waiting_max: int | None = None) -> Limiter:
    """Return a limiter that lets messages wait, at most ``waiting_max`` at once."""
    return Limiter(
        above="queue",
        burst_requests=burst,
        queue_deadline_us=PATIENCE_US,
        queue_requests_max=waiting_max,
    )


def refuse(*, burst: int = 1) -> Limiter:
    """Return a limiter that refuses what its bucket does not hold."""
    return Limiter(burst_requests=burst)


def poisson_stream(
    *, per_s: float, limiter: Limiter, seed: int, measured_us: int = HOUR_US
) -> Scenario:
    """Return a Poisson stream of messages, never tried again, into one limiter."""
    source = Poisson(
        name="messages",
        service="beam",
        up=_BYTES,
        down=_BYTES,
        rate_micro_per_hour=_micro_per_hour(per_s, SERVER_LINES),
    )
    fleet = Fleet(
        name="devices",
        vpg_id="v",
        lines=SERVER_LINES,
        session=Session(attach="at_start"),
        traffic=(source,),
    )
    begin_us = MEASURED_FROM_US - WARM_UP_US
    return _scenario(fleet, limiter, begin_us, MEASURED_FROM_US + measured_us, seed)


def even_stream(*, every_us: int, lines: int, limiter: Limiter, for_us: int = HOUR_US) -> Scenario:
    """Return messages exactly ``every_us`` / ``lines`` apart, from a full bucket on."""
    source = Periodic(
        name="messages", service="beam", up=_BYTES, down=_BYTES, every_us=every_us, phase="even"
    )
    fleet = Fleet(
        name="devices",
        vpg_id="v",
        lines=lines,
        session=Session(attach="at_start"),
        traffic=(source,),
    )
    return _scenario(fleet, limiter, MEASURED_FROM_US, MEASURED_FROM_US + for_us, 1)


def line_cap(
    *,
    lines: int,
    attempts_per_idle_line_per_s: float,
    holding: Holding,
    mean_us: int,
    seed: int,
    measured_us: int = HOUR_US,
) -> Scenario:
    """Return lines that attach to report, stay attached for a while and give up when refused."""
    source = Poisson(
        name="reports",
        service="beam",
        up=_BYTES,
        down=_BYTES,
        rate_micro_per_hour=_micro_per_hour(attempts_per_idle_line_per_s * lines, lines),
    )
    fleet = Fleet(
        name="devices",
        vpg_id="v",
        lines=lines,
        session=Session(attach="on_report", duration=holding, duration_us=mean_us),
        traffic=(source,),
    )
    begin_us = MEASURED_FROM_US - WARM_UP_US
    return _scenario(fleet, Limiter(), begin_us, MEASURED_FROM_US + measured_us, seed)


def _micro_per_hour(per_s: float, lines: int) -> int:
    return round(per_s * (HOUR_US // SECOND_US) / lines * _MICRO)


def _scenario(fleet: Fleet, limiter: Limiter, start_us: int, end_us: int, seed: int) -> Scenario:
    gate = Vpg(
        id="v",
        type="C",
        size="small",
        created_at_us=start_us,
        limiter=limiter,
        contract_fee=False,
    )
    return Scenario(
        name="engine-check",
        title="engine-check",
        start_us=start_us,
        end_us=end_us,
        seed=seed,
        vpgs=(gate,),
        fleets=(fleet,),
        assumptions=Assumptions(a16_idle_timeout_us=0),
    )
