"""Times as people write them, to ``SimUs``.

Owns: ISO 8601 with a zone, offsets from the start (``+02:30:00``), and exact durations. Does not
own: which times fit together (``checks``). A time without zone is never guessed.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from vpg.timebase import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    from_datetime,
    month_start,
    next_month_start,
)

if TYPE_CHECKING:
    from decimal import Decimal

YEAR_FIRST = 2000
YEAR_LAST = 2100
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)[ ]?([Zz]|[+-]\d\d:?\d\d)?)?"
)
_OFFSET = re.compile(r"\+(?:(\d{1,3})d[ T]?)?(\d{1,5}):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,6}))?)?")


class TimeTextError(ValueError):
    """A text that is not a time; ``code`` is the error number, ``hint`` what may be meant."""

    def __init__(self, code: str, hint: str = "") -> None:
        """Keep the number of the message and its hint."""
        super().__init__(code)
        self.code = code
        self.hint = hint


def read_instant(text: str) -> int:
    """Return the ``SimUs`` of an ISO 8601 time with zone; ``TimeTextError`` says what is wrong.

    >>> read_instant("2026-04-01T09:00:00+09:00") == read_instant("2026-04-01 00:00Z")
    True
    """
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise TimeTextError("VPG1250")
    date, clock, zone = match.groups()
    if not zone:
        clock = clock or "00:00:00"
        full = clock if clock.count(":") == 2 else f"{clock}:00"  # noqa: PLR2004 - H:M:S
        raise TimeTextError("VPG1251", f"{date}T{full}+09:00")
    try:
        moment = dt.datetime.fromisoformat(f"{date}T{clock}{zone.upper()}")
        if not YEAR_FIRST <= moment.year <= YEAR_LAST:
            raise TimeTextError("VPG1252")
        return from_datetime(moment)
    except (ValueError, OverflowError) as error:
        if isinstance(error, TimeTextError):
            raise
        raise TimeTextError("VPG1253") from None


def read_moment(text: str, start_us: int) -> int:
    """Return the ``SimUs`` of a time with zone or of an offset from ``start_us``.

    >>> read_moment("+02:30:00", 0), read_moment("+1d 00:00:00.5", 0)
    (9000000000, 86400500000)
    """
    if not text.strip().startswith("+"):
        return read_instant(text)
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        raise TimeTextError("VPG1254")
    days, hours, minutes, seconds, part = match.groups()
    return (
        start_us
        + int(days or 0) * DAY_US
        + int(hours) * HOUR_US
        + int(minutes) * MINUTE_US
        + int(seconds or 0) * SECOND_US
        + int((part or "0").ljust(6, "0"))
    )


def us(seconds: Decimal) -> int:
    """Return seconds, already known to have at most six decimals, in µs."""
    return int(seconds * SECOND_US)


def ppm(percent: Decimal) -> int:
    """Return a percentage, already known to have at most four decimals, in parts per million."""
    return int(percent * 10_000)


def months_later(at_us: int, months: int) -> int:
    """Return the same time after the begin of the rating month ``months`` later.

    A month too short for it gives the last microsecond of that month.

    >>> read_instant("2026-03-01T00:00Z") - months_later(read_instant("2026-01-31T09:00Z"), 1)
    1
    """
    begin = month_start(at_us)
    after = at_us - begin
    for _ in range(months):
        begin = next_month_start(begin)
    return min(begin + after, next_month_start(begin) - 1)
