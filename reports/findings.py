"""Which limit binds, the worst minute, and how much room is left.

Owns: reading a run's figures against its limits. Does not own: what to do about it (``advice``),
words (``texts.toml``). Times: ``SimUs``; shares are parts per million.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.advice import Case, advise
from reports.document import Findings, LimitUse, VpgFindings, WorstMinute
from reports.series import config_at, configs
from vpg.timebase import iso_jst

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.document import Binding, LimitName
    from reports.series import Config
    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue
    from vpg.rating.hourly import HourlyRow
    from vpg.rating.totals import Totals
    from vpg.results import MinuteRow, RunResult

MILLION = 1_000_000


def findings(
    scenario: Scenario, catalogue: Catalogue, result: RunResult, totals: Totals
) -> Findings:
    """Return what bound each VPG of ``result`` and what would help, in the scenario's order."""
    own_totals = {one.vpg_id: one for one in totals.per_vpg}
    rows: dict[str, list[HourlyRow]] = {}
    minutes: dict[str, list[MinuteRow]] = {}
    for row in result.rows:
        rows.setdefault(row.vpg_id, []).append(row)
    for minute in result.minutes:
        minutes.setdefault(minute.vpg_id, []).append(minute)
    found, advice = [], []
    for vpg in scenario.vpgs:
        own = own_totals.get(vpg.id)
        if own is None:
            continue
        known = configs(scenario, catalogue, vpg)
        worst = _worst(minutes.get(vpg.id, ()))
        limits = _limits(scenario, catalogue, rows.get(vpg.id, ()), own)
        one = VpgFindings(
            vpg_id=vpg.id,
            binding=_binding(limits),
            limits=limits,
            worst_minute=None if worst is None else _minute(worst, known),
        )
        found.append(one)
        at_us = result.ended_at_us - 1 if worst is None else worst.minute_start_us
        advice += advise(
            Case(
                scenario=scenario,
                catalogue=catalogue,
                result=result,
                vpg=vpg,
                totals=own,
                found=one,
                config=config_at(known, at_us),
                at_us=max(at_us, scenario.start_us),
            )
        )
    where = max(found, key=_severity, default=None)
    none = where is None or where.binding == "none"
    return Findings(
        binding="none" if where is None else where.binding,
        vpg_id="" if where is None or none else where.vpg_id,
        vpgs=found,
        advice=advice,
    )


def ppm(part: int, whole: int) -> int:
    """Return ``part`` / ``whole`` in parts per million, rounded down; 0 of 0 is 0."""
    return part * MILLION // whole if whole else 0


def _limits(
    scenario: Scenario, catalogue: Catalogue, rows: Sequence[HourlyRow], own: Totals
) -> list[LimitUse]:
    """Return the use of each limit that this VPG has, in the order a message meets them."""
    caps = [catalogue.limits(row.type, row.size, row.hour_start_us) for row in rows]
    setup = scenario.assumptions.a18_session_setup_per_s
    uses = [
        _use(
            "line_cap",
            [(row.lines_peak, cap.lines_max) for row, cap in zip(rows, caps, strict=True)],
            (own.attach_attempts, own.sessions_refused),
        )
    ]
    if setup is not None:
        uses.append(
            _use(
                "session_setup",
                [(own.attach_peak_per_s, setup)],
                (own.attach_attempts, own.attach_rejected_other),
            )
        )
    uses += [
        _use(
            "request_rate",
            [(row.rate_peak_per_s, cap.rate_per_s) for row, cap in zip(rows, caps, strict=True)],
            (own.attempts_limited, own.throttled_limited),
        ),
        _use("upstream", [], (own.admitted_limited, own.failed_upstream_limited)),
    ]
    return uses


def _use(
    name: LimitName, peaks: Iterable[tuple[int, int | None]], counts: tuple[int, int]
) -> LimitUse:
    """Return the use of one limit; of ``peaks`` (use, cap) the one closest to its cap counts."""
    peak, cap = max(
        peaks, key=lambda p: (p[1] is not None, ppm(p[0], p[1] or 1), p[0]), default=(0, None)
    )
    asked, refused = counts
    return LimitUse(
        limit=name,
        cap=cap,
        peak=peak,
        share_ppm=None if cap is None else ppm(peak, cap),
        asked=asked,
        refused=refused,
        refused_ppm=ppm(refused, asked),
    )


def _binding(limits: Sequence[LimitUse]) -> Binding:
    """Return the limit that refused the largest share of what met it; the earlier of equals."""
    hit = [use for use in limits if use.refused]
    return max(hit, key=lambda use: use.refused_ppm).limit if hit else "none"


def _severity(found: VpgFindings) -> tuple[int, int]:
    refused = max((use.refused_ppm for use in found.limits), default=0)
    return refused, sum(use.refused for use in found.limits)


def _worst(minutes: Sequence[MinuteRow]) -> MinuteRow | None:
    """Return the minute with most refusals, then requests, then attaches; the first of equals."""
    return max(
        minutes,
        key=lambda m: (
            m.throttled + m.sessions_refused,
            m.attempts,
            m.attach_attempts,
            -m.minute_start_us,
        ),
        default=None,
    )


def _minute(minute: MinuteRow, known: tuple[Config, ...]) -> WorstMinute:
    config = config_at(known, minute.minute_start_us)
    return WorstMinute(
        start_us=minute.minute_start_us,
        start=iso_jst(minute.minute_start_us),
        busiest_second=iso_jst(minute.busiest_second_us),
        attempts=minute.attempts,
        accepted=minute.accepted,
        throttled=minute.throttled,
        rate_peak_per_s=minute.rate_peak_per_s,
        rate_per_s=config.rate_per_s,
        attach_attempts=minute.attach_attempts,
        sessions_refused=minute.sessions_refused,
        lines_peak=minute.lines_peak,
        lines_max=config.lines_max,
    )
