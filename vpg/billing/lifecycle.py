"""What a line may become, when a change takes effect, and which fee it owes for a month.

Owns: statuses and their transitions, the dates of the operator portal, line-months. Does not own:
prices of lines (a user's ``[[usage]]`` rows), what a status does to traffic (the simulator). Times:
``*_us`` is ``SimUs``, intervals are half-open; a ``dt.date`` is a day in JST. All functions are
pure.

Two documents speak of lines: statuses and transfer are the provider's (billing guide, 6.3); portal
hours, change of plan and cancellation are those of the MVNO's portal manual, whose four words
(not opened, in use, suspended, cancelled) are ``ready``, ``active``, ``suspended``, ``terminated``.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal, NamedTuple

from vpg.catalogue.model import day_after_us, day_start_us
from vpg.errors import InputError, Problem, ensure
from vpg.timebase import HOUR_US, iso_jst, month_start, next_month_start, to_jst

if TYPE_CHECKING:
    from collections.abc import Sequence

LineStatus = Literal["ready", "active", "inactive", "standby", "suspended", "terminated"]
STATUSES: tuple[LineStatus, ...] = (
    "ready",
    "active",
    "inactive",
    "standby",
    "suspended",
    "terminated",
)
Carrier = Literal["docomo", "softbank"]
PlanRule = Literal["larger_at_once", "next_month"]

PORTAL_OPENS_HOUR = 9
PORTAL_SHUTS_HOUR = 20
"""Taken from 09:00 to 19:59, so up to the last instant before 20:00 JST."""
CARRIER_OPENS_HOUR: dict[Carrier, int] = {"docomo": 9, "softbank": 10}
END_YEARS_MAX = 2
"""A cancellation may be set to a day within two years (portal manual, cancellation)."""


class Since(NamedTuple):
    """A line has ``status`` from ``at_us`` on."""

    at_us: int
    status: LineStatus


class LineMonth(NamedTuple):
    """A line owes ``bill_item`` once for the rating month that begins at ``month_us``."""

    month_us: int
    bill_item: str


class PortalWork(NamedTuple):
    """A suspension or resumption: taken at ``accepted_us``, in force within [from_us, by_us]."""

    accepted_us: int
    from_us: int
    by_us: int


# ---- statuses ------------------------------------------------------------------------------------


def allowed(before: LineStatus) -> tuple[LineStatus, ...]:
    """Return what a line may become: anything else but ``ready``, and nothing once terminated.

    Source: the provider's API (statuses; termination is for good; nothing returns to ``ready``).

    >>> allowed("suspended"), allowed("terminated")
    (('active', 'inactive', 'standby', 'terminated'), ())
    """
    if before == "terminated":
        return ()
    return tuple(status for status in STATUSES if status not in ("ready", before))


def may_become(before: LineStatus, after: LineStatus) -> bool:
    """Return whether a line may be set from one status to another; to the same is no change."""
    return before == after or after in allowed(before)


def change(history: Sequence[Since], at_us: int, status: LineStatus) -> tuple[Since, ...]:
    """Return ``history`` with the line's new status from ``at_us`` on.

    Raises ``InputError`` (VPG1751) when the line cannot become that.
    """
    ensure(bool(history) and history[-1].at_us <= at_us, "changes come in order of time")
    before = history[-1].status
    if not may_become(before, status):
        others = ", ".join(allowed(before)) or "-"
        values = {"before": before, "after": status, "at": iso_jst(at_us), "allowed": others}
        raise InputError([Problem(code="VPG1751", values=values)])
    if before == status:
        return tuple(history)
    return (*history, Since(at_us, status))


def transfer(history: Sequence[Since], at_us: int) -> None:
    """Check that the line may go to another operator at ``at_us``.

    Only a line that has been ``ready`` ever since may (billing guide, 6.3); its first connection
    ends that. Raises ``InputError`` (VPG1752).
    """
    status = status_at(history, at_us)
    if status != "ready":
        values = {"status": status or "-", "at": iso_jst(at_us)}
        raise InputError([Problem(code="VPG1752", values=values)])


def status_at(history: Sequence[Since], at_us: int) -> LineStatus | None:
    """Return the line's status at ``at_us``; ``None`` before there is a line."""
    known = [since.status for since in history if since.at_us <= at_us]
    return known[-1] if known else None


# ---- the portal ----------------------------------------------------------------------------------


def suspend_or_resume(applied_us: int, carrier: Carrier) -> PortalWork:
    """Return when an application to suspend or resume a line is taken and in force.

    Outside 09:00 to 19:59 JST it is taken when the portal opens next. It is done within the hour;
    for a SoftBank line that hour begins at 10:00 at the earliest (portal manual, suspension). The
    manual calls the hour a guide; voice and SMS lines take longer.

    >>> from vpg.timebase import from_datetime, JST
    >>> late = from_datetime(dt.datetime(2026, 4, 1, 20, tzinfo=JST))
    >>> [to_jst(at).strftime("%d %H:%M") for at in suspend_or_resume(late, "softbank")]
    ['02 09:00', '02 10:00', '02 11:00']
    """
    moment = to_jst(applied_us)
    day, accepted_us = moment.date(), applied_us
    if moment.hour >= PORTAL_SHUTS_HOUR:
        day += dt.timedelta(days=1)
    if not PORTAL_OPENS_HOUR <= moment.hour < PORTAL_SHUTS_HOUR:
        accepted_us = day_start_us(day) + PORTAL_OPENS_HOUR * HOUR_US
    from_us = max(accepted_us, day_start_us(day) + CARRIER_OPENS_HOUR[carrier] * HOUR_US)
    return PortalWork(accepted_us, from_us, from_us + HOUR_US)


def plan_change_us(applied_us: int, *, larger: bool, rule: PlanRule) -> int:
    """Return when a change of plan takes effect: at once, or on the next month's 1st, 00:00 JST.

    By ``larger_at_once`` a larger plan begins at once and a smaller one on the 1st; by
    ``next_month`` both on the 1st. Which rule holds depends on the plan (portal manual, change of
    plan).
    """
    if larger and rule == "larger_at_once":
        return applied_us
    return day_start_us(_next_first(to_jst(applied_us).date()))


def _next_first(day: dt.date) -> dt.date:
    """Return the first day of the month behind ``day``'s."""
    return (day.replace(day=28) + dt.timedelta(days=4)).replace(day=1)


def cancellation_us(applied_us: int, last_day: dt.date | None = None) -> int:
    """Return when a cancelled line ends: at the end of ``last_day``, 24:00 JST.

    Without a day it is the last one of the current month. Raises ``InputError`` (VPG1753) for a day
    that is over, or beyond two years (portal manual, cancellation).
    """
    today = to_jst(applied_us).date()
    last_day = last_day or _next_first(today) - dt.timedelta(days=1)
    leap = (today.month, today.day) == (2, 29)
    latest = today.replace(year=today.year + END_YEARS_MAX, day=28 if leap else today.day)
    if not today <= last_day <= latest:
        values = {"value": last_day, "first": today, "latest": latest}
        raise InputError([Problem(code="VPG1753", values=values)])
    return day_after_us(last_day)


def withdraw(at_us: int, effective_us: int) -> None:
    """Check that an applied change can be withdrawn at ``at_us``: only before it takes effect.

    So a change of plan for the 1st until the day before, a cancellation until the line's last day.
    Raises ``InputError`` (VPG1754).
    """
    if at_us >= effective_us:
        values = {"at": iso_jst(at_us), "effective": iso_jst(effective_us)}
        raise InputError([Problem(code="VPG1754", values=values)])


# ---- fees ----------------------------------------------------------------------------------------

_FEES: dict[LineStatus, str] = {
    "ready": "line_ready",
    "standby": "line_standby",
    "active": "line_basic",
    "inactive": "line_basic",
    "suspended": "line_basic",
    "terminated": "",
}
"""Suspended and inactive lines pay on (portal manual, suspension; the provider's API, inactive)."""
_ORDER = ("", "line_ready", "line_standby", "line_basic")


def line_months(history: Sequence[Since], until_us: int) -> tuple[LineMonth, ...]:
    """Return the fee of each rating month that the line touches before ``until_us``.

    One fee a month, for the most the line was at any instant of it: in use (also inactive or
    suspended) before standby before ready. A terminated line owes nothing from its end on.
    """
    most: dict[int, str] = {}
    ends = [since.at_us for since in history[1:]] + [until_us]
    for since, then_us in zip(history, ends, strict=True):
        begin_us, end_us = since.at_us, min(then_us, until_us)
        while begin_us < end_us:
            month_us = month_start(begin_us)
            fee = max(most.get(month_us, ""), _FEES[since.status], key=_ORDER.index)
            most[month_us] = fee
            begin_us = next_month_start(begin_us)
    return tuple(LineMonth(month_us, fee) for month_us, fee in sorted(most.items()) if fee)
