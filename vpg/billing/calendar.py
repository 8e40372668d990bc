"""When use becomes money: clock hours, rating months, business days, dates of an invoice.

Owns: clock hours touched, business days, the dates of a rating month's invoice, the end of a period
counted in months. Does not own: time zones and rating months as instants (``vpg.timebase``), the
file of closing days (``closures``). Times: ``*_us`` is ``SimUs``, intervals are half-open; a
``dt.date`` is a day in JST. Integers and dates only.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import jpholiday

from vpg.billing.model import InvoiceDates
from vpg.catalogue.model import day_after_us
from vpg.errors import InputError, Problem, ensure
from vpg.timebase import HOUR_US, HourStartUs, from_datetime, month_name, next_month_start

if TYPE_CHECKING:
    from collections.abc import Iterable

_SATURDAY = 5
_DECEMBER = 12
_ONE_DAY = dt.timedelta(days=1)
_MONTH_DIGITS = 6
_YEAR_DAYS = 366

YEAR_END: frozenset[tuple[int, int]] = frozenset(
    {(12, 29), (12, 30), (12, 31), (1, 1), (1, 2), (1, 3)}
)
"""Closed each year, as (month, day). No document names the provider's closing days: these are those
of government offices (Act on Holidays of Administrative Organs, article 1), A-47."""


Due = Literal["calendar_day", "business_day_before", "business_day_after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessCalendar:
    """Which days are business days, and which of them an invoice hangs on."""

    closed_yearly: frozenset[tuple[int, int]] = YEAR_END
    """(month, day) closed every year (A-47)."""
    closed_on: frozenset[dt.date] = frozenset()
    """Further closed days."""
    open_on: frozenset[dt.date] = frozenset()
    """Business days in spite of everything else."""
    final_business_day: int = 2
    """Figures are final with this business day of the next month (seed 0, 4.3)."""
    issue_business_day: int = 4
    """The invoice is issued about this one (seed 0, 4.1.2; "about": A-48)."""
    due: Due = "calendar_day"
    """What a due date on a closed day becomes (A-49): the guide names the last day (4.1.2)."""


def is_business_day(day: dt.date, calendar: BusinessCalendar) -> bool:
    """Return whether ``day`` is neither weekend, national holiday nor closed.

    >>> [is_business_day(dt.date(2026, 5, day), BusinessCalendar()) for day in (1, 2, 4, 7)]
    [True, False, False, True]
    """
    if day in calendar.open_on:
        return True
    return not (
        day.weekday() >= _SATURDAY
        or day in calendar.closed_on
        or (day.month, day.day) in calendar.closed_yearly
        or jpholiday.is_holiday(day)
    )


def business_day(first: dt.date, number: int, calendar: BusinessCalendar) -> dt.date:
    """Return the ``number``-th business day (1 = the first) on or after ``first``.

    Raises ``InputError`` when a whole year from ``first`` has too few: the closing days are wrong.

    >>> business_day(dt.date(2026, 1, 1), 2, BusinessCalendar())
    datetime.date(2026, 1, 6)
    """
    ensure(number >= 1, "business days are counted from 1")
    left = number
    for offset in range(_YEAR_DAYS):
        day = first + offset * _ONE_DAY
        left -= is_business_day(day, calendar)
        if not left:
            return day
    values = {"number": number, "first": first.isoformat()}
    raise InputError([Problem(code="VPG1702", values=values)])


def month_begin(month: str) -> dt.date:
    """Return the first day of the month ``yyyyMM``; raises ``InputError`` for other text.

    >>> month_begin("202604")
    datetime.date(2026, 4, 1)
    """
    if len(month) == _MONTH_DIGITS and month.isascii() and month.isdecimal():
        year, number = int(month[:4]), int(month[4:])
        if dt.MINYEAR <= year < dt.MAXYEAR and 1 <= number <= _DECEMBER:
            return dt.date(year, number, 1)
    raise InputError([Problem(code="VPG1701", values={"value": month})])


def month_of(day: dt.date) -> str:
    """Return the month of ``day`` as ``yyyyMM``."""
    return f"{day.year:04d}{day.month:02d}"


def months_later(month: str, months: int) -> str:
    """Return the month that is ``months`` after ``month`` (before it, when negative).

    >>> months_later("201803", 13), months_later("202601", -1)
    ('201904', '202512')
    """
    begin = month_begin(month)
    year, number = divmod(begin.year * _DECEMBER + begin.month - 1 + months, _DECEMBER)
    return f"{year:04d}{number + 1:02d}"


def month_last_day(month: str) -> dt.date:
    """Return the last day of ``month``."""
    return month_begin(months_later(month, 1)) - _ONE_DAY


def month_bounds_us(month: str) -> tuple[HourStartUs, HourStartUs]:
    """Return the first instant of the rating month ``yyyyMM`` and the first one behind it.

    The 1st 09:00 JST is 00:00 UTC (seed 1, price table, general rule 1).

    >>> begin, end = month_bounds_us("202604")
    >>> (end - begin) // HOUR_US
    720
    """
    first = month_begin(month)
    begin = from_datetime(dt.datetime(first.year, first.month, 1, tzinfo=dt.UTC))
    return HourStartUs(begin), next_month_start(begin)


def hours_touched(intervals: Iterable[tuple[int, int]]) -> list[HourStartUs]:
    """Return the clock hours that any of the half-open ``intervals`` (µs) touches, in order.

    An hour is there once, however often something starts and ends in it; an interval that ends on
    the hour does not touch what begins there, and an empty one touches nothing. Source: seed 1,
    price table, general rule 3 (use inside an hour from :00 is an hour); half-open: A-14.

    >>> [at // HOUR_US for at in hours_touched([(HOUR_US - 1, HOUR_US + 1), (HOUR_US, HOUR_US)])]
    [0, 1]
    """
    hours: list[HourStartUs] = []
    for begin, end in sorted(intervals):
        ensure(begin <= end, "an interval ends no earlier than it begins")
        first = begin - begin % HOUR_US
        if hours:
            first = max(first, hours[-1] + HOUR_US)
        if begin < end:
            hours.extend(HourStartUs(at) for at in range(first, end, HOUR_US))
    return hours


def hours_by_month(intervals: Iterable[tuple[int, int]]) -> dict[str, int]:
    """Return the number of clock hours touched in each rating month, in order of the months.

    >>> turn = month_bounds_us("202605")[0]
    >>> hours_by_month([(turn - 1, turn + 1)])
    {'202604': 1, '202605': 1}
    """
    counts: dict[str, int] = {}
    for hour in hours_touched(intervals):
        month = month_name(hour)
        counts[month] = counts.get(month, 0) + 1
    return counts


def invoice_dates(month: str, calendar: BusinessCalendar) -> InvoiceDates:
    """Return when the rating month ``yyyyMM`` is final, invoiced, due and asked of a card.

    Source: seed 0, 4.3 (final on the second business day of the next month), 4.1.2 (issue about the
    fourth business day, due on the last day of the month of issue), 4.1.1 (card: closed at the end
    of the month, asked at the start of the next). "On" the second business day is read as: at its
    end, 24:00 JST.

    >>> dates = invoice_dates("202604", BusinessCalendar())
    >>> [str(day) for day in (dates.figures_final_on, dates.issue_on, dates.due_on, dates.card_on)]
    ['2026-05-07', '2026-05-11', '2026-05-31', '2026-05-01']
    """
    begin_us, end_us = month_bounds_us(month)
    following = month_begin(months_later(month, 1))
    final = business_day(following, calendar.final_business_day, calendar)
    issue = business_day(following, calendar.issue_business_day, calendar)
    return InvoiceDates(
        month=month,
        month_start_us=begin_us,
        month_end_us=end_us,
        figures_final_on=final,
        figures_final_us=day_after_us(final),
        issue_on=issue,
        due_on=_due(month_last_day(month_of(issue)), calendar),
        card_on=following,
    )


def _due(day: dt.date, calendar: BusinessCalendar) -> dt.date:
    if calendar.due == "business_day_after":
        return business_day(day, 1, calendar)
    while calendar.due == "business_day_before" and not is_business_day(day, calendar):
        day -= _ONE_DAY
    return day


def period_last_day(known_on: dt.date, months: int) -> dt.date:
    """Return the last day of a period of ``months`` that an event on ``known_on`` sets off.

    The day of the event does not count; the period ends on the day before the one that corresponds
    to its first day, on the month's last day where there is none, and with the month where it began
    with one. Source: Civil Code, articles 140 and 143.

    >>> [str(period_last_day(dt.date(2025, 11, day), 3)) for day in (14, 29, 30)]
    ['2026-02-14', '2026-02-28', '2026-02-28']
    """
    first = known_on + _ONE_DAY
    target = months_later(month_of(first), months)
    last = month_last_day(target)
    if first.day > last.day:
        return last
    return last.replace(day=first.day) - _ONE_DAY
