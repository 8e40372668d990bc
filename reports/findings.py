"""Which limit binds, the worst minute, and how much room is left.

Owns: reading a run's figures against its limits. Does not own: what to do about it (``advice``),
words (``texts.toml``). Times: ``SimUs``; shares are parts per million.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reports.advice import Case, advise
from reports.document import Findings, LimitUse, SizeUse, VpgFindings, WorstMinute
from reports.losses import losses
from reports.series import config_at, configs
from vpg.rating.totals import totals as add_up
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
        own_rows = rows.get(vpg.id, ())
        limits = _limits(scenario, catalogue, own_rows, own)
        sizes = _sizes(scenario, catalogue, own_rows)
        one = VpgFindings(
            vpg_id=vpg.id,
            binding=_binding(limits),
            limits=limits,
            sizes=sizes,
            uncapped_types=_uncapped(sizes),
            worst_minute=None if worst is None else _minute(worst, known),
            losses=losses(own),
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
    caps = [(row, catalogue.limits(row.type, row.size, row.hour_start_us)) for row in rows]
    setup = scenario.assumptions.a18_session_setup_per_s
    uses = [
        _use(
            "line_cap",
            [_Peak(row.lines_peak, cap.lines_max, row.type, row.size) for row, cap in caps],
            (own.attach_attempts, own.sessions_refused),
        )
    ]
    if setup is not None:
        uses.append(
            _use(
                "session_setup",
                [_Peak(row.attach_peak_per_s, setup, row.type, row.size) for row in rows],
                (own.attach_attempts, own.attach_rejected_other),
            )
        )
    uses += [
        _use(
            "request_rate",
            [_Peak(row.rate_peak_per_s, cap.rate_per_s, row.type, row.size) for row, cap in caps],
            (own.attempts_limited, own.throttled_limited),
        ),
        _use("upstream", [], (own.admitted_limited, own.failed_upstream_limited)),
    ]
    return uses


def _sizes(scenario: Scenario, catalogue: Catalogue, rows: Sequence[HourlyRow]) -> list[SizeUse]:
    """Return the use of the limits of each type and size that the VPG had, first come first."""
    parts: dict[tuple[str, str], list[HourlyRow]] = {}
    for row in rows:
        if row.vpg_exists:
            parts.setdefault((row.type, row.size), []).append(row)
    found = []
    for (kind, size), own in parts.items():
        limits = _limits(scenario, catalogue, own, add_up(own, {}))
        found.append(SizeUse(type=kind, size=size, binding=_binding(limits), limits=limits))
    return found


def _uncapped(sizes: Iterable[SizeUse]) -> list[str]:
    """Return the types for which the catalogue lacks a line cap or a request limit."""
    lacking = [
        one.type
        for one in sizes
        for use in one.limits
        if use.limit in {"line_cap", "request_rate"} and use.cap is None
    ]
    return list(dict.fromkeys(lacking))


class _Peak(NamedTuple):
    """The largest use in one row, and the limit in force then."""

    peak: int
    cap: int | None
    type: str
    size: str


def _use(name: LimitName, peaks: Iterable[_Peak], counts: tuple[int, int]) -> LimitUse:
    """Return the use of one limit; of ``peaks`` the one closest to its own cap counts."""
    peak, cap, kind, size = max(
        peaks,
        key=lambda p: (p.cap is not None, ppm(p.peak, p.cap or 1), p.peak),
        default=_Peak(0, None, "", ""),
    )
    asked, refused = counts
    return LimitUse(
        limit=name,
        type=kind,
        size=size,
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
    """Return the minute with most throttled, then refused attaches, then the busiest second.

    Of equals the one with most requests, then attaches; then the first.
    """
    return max(
        minutes,
        key=lambda m: (
            m.throttled,
            m.sessions_refused,
            m.rate_peak_per_s,
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
