"""Synthetic runs for the tests of the reports, made without a simulator; no test lives here."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reports.charts import NAMES
from reports.summary import summary_document
from scenarios.model import Fleet, Payload, Periodic, Recreate, RetryPolicy, Scenario, Vpg
from scenarios.objectives import ObjectiveResult
from vpg.billing.month import Bill, bill_months
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargePolicy, ChargeRow, rate_hours
from vpg.rating.histogram import bucket_of
from vpg.rating.hourly import HourlyRow
from vpg.results import MinuteRow, RunResult
from vpg.timebase import HOUR_US, JST, MINUTE_US, SECOND_US, from_datetime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.document import Summary
    from vpg.catalogue.model import Catalogue
    from vpg.errors import Problem

START_US = from_datetime(dt.datetime(2026, 4, 1, 9, tzinfo=JST))
"""A rating month begins here."""
NO_BYTES = Payload()


@dataclass(kw_only=True)
class Minute:
    """What happens in one minute of a synthetic VPG (Beam only)."""

    attempts: int = 0
    throttled: int = 0
    no_session: int = 0
    failed: int = 0
    peak_per_s: int = 0
    attach: int = 0
    refused: int = 0
    lines: int = 0
    second: int = 0

    @property
    def accepted(self) -> int:
        return self.attempts - self.throttled - self.no_session - self.failed


@dataclass(kw_only=True)
class Gateway:
    """One synthetic VPG: its minutes by number from the start, and what its rows say besides."""

    vpg: Vpg
    minutes: dict[int, Minute] = field(default_factory=dict)
    delays: dict[int, dict[int, int]] = field(default_factory=dict)
    """Hour number → delay in µs → messages."""
    row: dict[str, Any] = field(default_factory=dict)
    """Columns every row of this VPG has."""


def vpg(name: str = "tokyo", **more: Any) -> Vpg:
    base: dict[str, Any] = {"id": name, "type": "C", "size": "small", "created_at_us": START_US}
    return Vpg(**base | more)


def on_the_clock(every_us: int = 30 * MINUTE_US, **more: Any) -> Periodic:
    base: dict[str, Any] = {
        "name": "reading",
        "service": "beam",
        "up": NO_BYTES,
        "down": NO_BYTES,
    }
    return Periodic(**base | {"every_us": every_us, "phase": "clock"} | more)


def fleet(name: str = "meters", vpg_id: str = "tokyo", **more: Any) -> Fleet:
    base: dict[str, Any] = {"name": name, "vpg_id": vpg_id, "lines": 1000}
    return Fleet(**base | {"traffic": (on_the_clock(),)} | more)


FIXED_60S = RetryPolicy(name="fixed_60s", steps=((60 * SECOND_US, 1),), tries_max=3)


def scenario(gateways: list[Gateway], hours: int, **more: Any) -> Scenario:
    base: dict[str, Any] = {
        "name": "half-hour-meters",
        "title": "Smart meters on the half hour",
        "start_us": START_US,
        "end_us": START_US + hours * HOUR_US,
        "seed": 1,
        "vpgs": tuple(g.vpg for g in gateways),
        "fleets": tuple(fleet(vpg_id=g.vpg.id, name=f"meters-{g.vpg.id}") for g in gateways),
    }
    return Scenario(**base | more)


def run(scenario: Scenario, gateways: list[Gateway], **more: Any) -> RunResult:
    hours = -(-(scenario.end_us - scenario.start_us) // HOUR_US)
    rows: list[HourlyRow] = []
    minutes: list[MinuteRow] = []
    delays = {}
    for gateway in sorted(gateways, key=lambda g: g.vpg.id):
        sessions = 0
        by_hour: dict[int, list[Minute]] = {}
        for i, minute in sorted(gateway.minutes.items()):
            by_hour.setdefault(i // 60, []).append(minute)
        for hour in range(hours):
            row, sessions = _hour(gateway, hour, by_hour.get(hour, []), sessions, scenario)
            rows.append(row)
            if hour in gateway.delays:
                key = (row.vpg_id, row.hour_start_us, 0)
                delays[key] = {bucket_of(us): n for us, n in gateway.delays[hour].items()}
        minutes += [_minute(gateway.vpg.id, i, m) for i, m in sorted(gateway.minutes.items())]
    base: dict[str, Any] = {
        "rows": tuple(rows),
        "delays": delays,
        "minutes": tuple(minutes),
        "notes": (),
        "status": "complete",
        "ended_at_us": scenario.end_us,
    }
    return RunResult(**base | more)


def _minute(vpg_id: str, index: int, minute: Minute) -> MinuteRow:
    start = START_US + index * MINUTE_US
    return MinuteRow(
        vpg_id=vpg_id,
        minute_start_us=start,
        attempts=minute.attempts,
        accepted=minute.accepted,
        throttled=minute.throttled,
        busiest_second_us=start + minute.second * SECOND_US,
        rate_peak_per_s=minute.peak_per_s,
        attach_attempts=minute.attach,
        sessions_refused=minute.refused,
        lines_peak=minute.lines,
    )


def _hour(
    gateway: Gateway, hour: int, own: list[Minute], sessions: int, scenario: Scenario
) -> tuple[HourlyRow, int]:
    end = own[-1].lines if own else sessions
    at_us = START_US + hour * HOUR_US
    kind: tuple[str, str] = (gateway.vpg.type, gateway.vpg.size)
    for event in scenario.events:
        if isinstance(event, Recreate) and event.vpg_id == gateway.vpg.id and event.at_us <= at_us:
            kind = event.type, event.size
    counts = {name: sum(getattr(m, name) for m in own)
              for name in ("attempts", "accepted", "throttled", "no_session")}  # fmt: skip
    created = sum(m.attach - m.refused for m in own)
    row = HourlyRow(
        vpg_id=gateway.vpg.id,
        hour_start_us=at_us,
        config_seq=0,
        vpg_exists=1,
        type=kind[0],
        size=kind[1],
        one_off=f"contract_fee_{kind[0].lower()}" if hour == 0 else "",
        sessions_start=sessions,
        sessions_created=created,
        sessions_deleted=sessions + created - end,
        sessions_end=end,
        attach_attempts=sum(m.attach for m in own),
        sessions_refused=sum(m.refused for m in own),
        lines_peak=max([sessions, *(m.lines for m in own)]),
        messages_offered=counts["accepted"],
        messages_delivered=counts["accepted"],
        attempts_beam=counts["attempts"],
        accepted_beam=counts["accepted"],
        throttled_beam=counts["throttled"],
        no_session_beam=counts["no_session"],
        failed_upstream_beam=sum(m.failed for m in own),
        rate_peak_per_s=max([0, *(m.peak_per_s for m in own)]),
    )
    return dataclasses.replace(row, **gateway.row), end


def meters(name: str = "tokyo", *, hours: int = 24, lines: int = 1000, **more: Any) -> Gateway:
    """Return ``lines`` meters that report at one instant each half hour and retry three times."""
    minutes: dict[int, Minute] = {}
    for i in range(0, hours * 60, 30):
        left = lines
        for retry in range(4):
            taken = min(left, 30)
            minutes[i + retry] = Minute(
                attempts=left,
                throttled=left - taken,
                peak_per_s=left,
                lines=lines,
                attach=lines if i + retry == 0 else 0,
            )
            left -= taken
    wave = {0: 30, 60 * SECOND_US: 30, 120 * SECOND_US: 30, 180 * SECOND_US: 30}
    delays = dict.fromkeys(range(hours), wave)
    return Gateway(vpg=vpg(name, **more), minutes=minutes, delays=delays)


def quiet(name: str = "osaka", *, hours: int = 24, lines: int = 400, **more: Any) -> Gateway:
    """Return ``lines`` lines with a few requests a minute: far from every limit."""
    minutes = {
        i: Minute(
            attempts=12 + i % 7, peak_per_s=2 + i % 3, lines=lines, attach=lines if not i else 0
        )
        for i in range(hours * 60)
    }
    delays = {hour: {20_000: 700, 45_000 + hour * 900: 20} for hour in range(hours)}
    return Gateway(vpg=vpg(name, **more), minutes=minutes, delays=delays)


def crowded(name: str = "depot", *, hours: int = 24, **more: Any) -> Gateway:
    """Return a VPG whose cap refuses attaches every morning at the 8th hour."""
    minutes = {
        i: Minute(
            attempts=40,
            peak_per_s=6,
            lines=min(1000, 600 + i * 3 if i % 1440 < 700 else 500),
            attach=20 if 480 <= i % 1440 < 540 else 0,
            refused=12 if 480 <= i % 1440 < 540 else 0,
        )
        for i in range(hours * 60)
    }
    delays = {hour: {20_000: 2000, 900_000: 400} for hour in range(hours)}
    more_row = {"ghosts_peak": 120}
    return Gateway(vpg=vpg(name, **more), minutes=minutes, delays=delays, row=more_row)


def judged_as(*, met: bool = True, **more: Any) -> ObjectiveResult:
    """Return the result of one objective: at most 1 % throttled."""
    base: dict[str, Any] = {
        "kind": "throttled_ppm_max",
        "vpg_id": "",
        "limit": 10_000,
        "measured": 4_000 if met else 970_000,
        "met": met,
    }
    return ObjectiveResult(**base | more)


def accounts(result: RunResult, catalogue: Catalogue) -> tuple[tuple[ChargeRow, ...], Bill]:
    charges = tuple(rate_hours(result.rows, catalogue, ChargePolicy()))
    return charges, bill_months(charges, catalogue, "monthly_total")


def summary_of(
    gateways: list[Gateway],
    *,
    hours: int = 24,
    objectives: Sequence[ObjectiveResult] = (),
    warnings: Sequence[Problem] = (),
    status: str = "complete",
    why_partial: str = "",
    **story: Any,
) -> Summary:
    """Return the summary of a synthetic run of ``gateways``."""
    catalogue = load_catalogue()
    meant = scenario(gateways, hours, **story)
    result = run(meant, gateways, status=status, why_partial=why_partial)
    charges, bill = accounts(result, catalogue)
    return summary_document(
        scenario=meant,
        catalogue=catalogue,
        result=result,
        charges=charges,
        bill=bill,
        objectives=objectives,
        warnings=warnings,
        run_dir="runs/half-hour-meters-20260401T000000Z-1a2b3c4d",
        charts=tuple(f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")),
    )
