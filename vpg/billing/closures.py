"""The table of closing days: which days are no business days, from a file of the user.

Owns: the file's keys and what is wrong with them. Does not own: what a business day is for
(``calendar``). Every key may be left out; what is left out keeps its default.

::

    closed_yearly = ["12-29", "12-30", "12-31", "01-01", "01-02", "01-03"]
    closed = [2026-08-14]
    open = [2026-12-29]
    final_business_day = 2
    issue_business_day = 4
    due = "calendar_day"    # or business_day_before, business_day_after
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from typing import TYPE_CHECKING, Any, get_args

from vpg.billing.calendar import BusinessCalendar, Due
from vpg.catalogue.places import TomlPlaces, syntax_place
from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAYS_MAX = 20
"""Business days of a month; none has more than 23."""
_MONTH_DAY = re.compile(r"(\d\d)-(\d\d)", re.ASCII)
_LEAP_YEAR = 2000


def load_calendar(path: Path) -> BusinessCalendar:
    """Return the calendar of a file; raises ``InputError`` with every problem in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        values = {"reason": getattr(error, "strerror", None) or str(error)}
        place = Place(file=str(path))
        raise InputError([Problem(code="VPG1712", place=place, values=values)]) from error
    return read_calendar(text, str(path))


def read_calendar(text: str, shown_as: str) -> BusinessCalendar:
    """Return the calendar of a table's text; ``shown_as`` names it in problems.

    >>> read_calendar('closed = [2026-08-14]', "mine.toml").closed_on
    frozenset({datetime.date(2026, 8, 14)})
    """
    try:
        document = tomllib.loads(text)
    except ValueError as error:
        reason = str(error).split(" (at ")[0]
        place = syntax_place(str(error), text, shown_as)
        problem = Problem(code="VPG1712", place=place, values={"reason": reason})
        raise InputError([problem]) from error
    places = TomlPlaces(text=text, file=shown_as)
    problems = []
    read: dict[str, Any] = {}
    for key, value in document.items():
        if key not in _KEYS:
            values = {"key": key, "allowed": ", ".join(_KEYS)}
            problems.append(Problem(code="VPG1713", place=places.key("", 0, key), values=values))
            continue
        field, reader, allowed = _KEYS[key]
        kept = reader(value)
        if kept is None:
            values = {"key": key, "value": value, "allowed": allowed}
            place = places.value("", 0, key)
            problems.append(Problem(code="VPG1714", place=place, path=key, values=values))
        read[field] = kept
    if problems:
        raise InputError(problems)
    return BusinessCalendar(**read)


def _yearly(value: object) -> frozenset[tuple[int, int]] | None:
    if not isinstance(value, list):
        return None
    days = set()
    for one in value:
        found = _MONTH_DAY.fullmatch(one) if isinstance(one, str) else None
        if found is None:
            return None
        month, day = int(found[1]), int(found[2])
        try:
            dt.date(_LEAP_YEAR, month, day)
        except ValueError:
            return None
        days.add((month, day))
    return frozenset(days)


def _dates(value: object) -> frozenset[dt.date] | None:
    if not isinstance(value, list):
        return None
    days = [one for one in value if isinstance(one, dt.date) and not isinstance(one, dt.datetime)]
    return frozenset(days) if len(days) == len(value) else None


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 1 <= value <= DAYS_MAX else None


def _due(value: object) -> str | None:
    return value if isinstance(value, str) and value in get_args(Due) else None


_KEYS: dict[str, tuple[str, Callable[[object], object], str]] = {
    "closed_yearly": ("closed_yearly", _yearly, '["12-29", …]'),
    "closed": ("closed_on", _dates, "[2026-08-14, …]"),
    "open": ("open_on", _dates, "[2026-12-29, …]"),
    "final_business_day": ("final_business_day", _number, f"1 … {DAYS_MAX}"),
    "issue_business_day": ("issue_business_day", _number, f"1 … {DAYS_MAX}"),
    "due": ("due", _due, ", ".join(get_args(Due))),
}
