"""Dates of a rating month, as a clerk with a wall calendar finds them; no table, no library.

Written from the Act on National Holidays (with the moved days of 2019 to 2021), the billing guide
4.1 and 4.3 (second and fourth business day, end of the month of issue) and the Civil Code,
articles 140 to 143 (periods in months). Nothing here comes from the product.
"""

from __future__ import annotations

import calendar
import datetime as dt
import functools
import math
from fractions import Fraction
from zoneinfo import ZoneInfo

JST = ZoneInfo("Asia/Tokyo")
DAY = dt.timedelta(days=1)
SUNDAY = 6
SATURDAY = 5
FIXED = ((1, 1), (2, 11), (4, 29), (5, 3), (5, 4), (5, 5), (11, 3), (11, 23))
MONDAYS = ((1, 2), (9, 3))
"""Coming of Age: second Monday of January; Respect for the Aged: third of September."""
MOVED: dict[int, tuple[tuple[int, int], ...]] = {
    2019: ((4, 30), (5, 1), (5, 2), (7, 15), (8, 11), (10, 14), (10, 22)),
    2020: ((7, 23), (7, 24), (8, 10)),
    2021: ((7, 22), (7, 23), (8, 8)),
}
"""Marine, Mountain and Sports Day where a special act moved them; 2019: the enthronement."""
EMPEROR_SINCE = 2020
EQUINOX = ((3, Fraction("20.8431")), (9, Fraction("23.2488")))
"""Day and its fraction in 1980; each year adds 0.242194 day, each leap year takes one."""


def first_day(month: str) -> dt.date:
    return dt.date(int(month[:4]), int(month[4:]), 1)


def last_day(month: str) -> dt.date:
    first = first_day(month)
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def later(month: str, months: int) -> str:
    count = int(month[:4]) * 12 + int(month[4:]) - 1 + months
    return f"{count // 12:04d}{count % 12 + 1:02d}"


def month_named(day: dt.date) -> str:
    return day.strftime("%Y%m")


def begins(month: str) -> dt.datetime:
    """Return 09:00 JST of the 1st (general rule 1 of the price table)."""
    return dt.datetime.combine(first_day(month), dt.time(9), tzinfo=JST)


def _monday(year: int, month: int, number: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=-first.weekday() % 7 + 7 * (number - 1))


@functools.cache
def holidays(year: int) -> frozenset[dt.date]:
    """Return the national holidays, substitutes and days between two of them included."""
    days = {dt.date(year, month, day) for month, day in FIXED}
    days |= {_monday(year, month, number) for month, number in MONDAYS}
    if year >= EMPEROR_SINCE:
        days.add(dt.date(year, 2, 23))
    passed = year - 1980
    for month, in_1980 in EQUINOX:
        drift = in_1980 + Fraction(242_194, 1_000_000) * passed
        days.add(dt.date(year, month, math.floor(drift) - passed // 4))
    if year in MOVED:
        days |= {dt.date(year, month, day) for month, day in MOVED[year]}
    else:
        days |= {_monday(year, 7, 3), dt.date(year, 8, 11), _monday(year, 10, 2)}
    named = frozenset(days)
    for day in sorted(named):
        if day.weekday() == SUNDAY:
            while day in days:
                day += DAY  # noqa: PLW2901 - the next day that is none
            days.add(day)
    for day in named:
        between = day + DAY
        if between + DAY in named and between.weekday() != SUNDAY:
            days.add(between)
    return frozenset(days)


def is_business_day(day: dt.date) -> bool:
    closed = day in holidays(day.year) or (day.month, day.day) >= (12, 29)
    return not (closed or (day.month, day.day) <= (1, 3) or day.weekday() >= SATURDAY)


def business_day(month: str, number: int) -> dt.date:
    day = first_day(month) - DAY
    while number:
        day += DAY
        number -= is_business_day(day)
    return day


@functools.cache
def dates(month: str) -> dict[str, dt.date]:
    """Return when the month's figures are final, the invoice is issued and due, a card asked."""
    after = later(month, 1)
    return {
        "final": business_day(after, 2),
        "issue": business_day(after, 4),
        "due on": last_day(after),
        "card": first_day(after),
    }


def period_ends(known_on: dt.date, months: int) -> dt.date:
    """Return the last day of ``months`` months that are counted from the day after ``known_on``.

    A period that begins on the first of a month ends with a month; another ends the day before the
    day of its beginning's number, or with the month where there is no such day.
    """
    begin = known_on + DAY
    last = later(month_named(begin), months)
    if begin.day == 1:
        return last_day(later(last, -1))
    if begin.day > last_day(last).day:
        return last_day(last)
    return first_day(last).replace(day=begin.day) - DAY
