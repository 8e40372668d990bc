"""Three kinds of time and the only conversions between them.

Owns: the units of time of the whole product. Does not own: calendars of invoices (``vpg.billing``).

* ``SimUs``: simulated instant, integer microseconds since the Unix epoch, UTC.
* ``WallUs``: instant of this machine's clock, same unit; never enters a result.
* ``HourStartUs``: a ``SimUs`` that is a multiple of one clock hour.

JST appears only when text is read or written. A rating month runs from the 1st 09:00 JST to the
next 1st 09:00 JST, which is exactly a UTC calendar month (terms of service, general rule 1).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import NewType
from zoneinfo import ZoneInfo

SimUs = NewType("SimUs", int)
WallUs = NewType("WallUs", int)
HourStartUs = NewType("HourStartUs", int)

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US

JST = ZoneInfo("Asia/Tokyo")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ONE_US = dt.timedelta(microseconds=1)


def hour_start(at_us: int) -> HourStartUs:
    """Return the start of the clock hour that contains ``at_us`` (µs, UTC).

    >>> hour_start(3_600_000_001)
    3600000000
    """
    return HourStartUs(at_us - at_us % HOUR_US)


def from_datetime(moment: dt.datetime) -> SimUs:
    """Return the instant of an aware ``moment`` in µs since the epoch.

    Raises ``ValueError`` for a moment without a zone: a bare time is never guessed to be JST.

    >>> from_datetime(dt.datetime(2026, 4, 1, 9, tzinfo=JST))
    1775001600000000
    """
    if moment.tzinfo is None:
        msg = f"{moment.isoformat()} has no time zone"
        raise ValueError(msg)
    return SimUs((moment - _EPOCH) // _ONE_US)


def to_utc(at_us: int) -> dt.datetime:
    """Return ``at_us`` (µs since the epoch) as an aware datetime in UTC."""
    return _EPOCH + dt.timedelta(microseconds=at_us)


def to_jst(at_us: int) -> dt.datetime:
    """Return ``at_us`` (µs since the epoch) as an aware datetime in JST."""
    return to_utc(at_us).astimezone(JST)


def month_start(at_us: int) -> HourStartUs:
    """Return the first instant of the rating month (UTC calendar month) that contains ``at_us``."""
    moment = to_utc(at_us)
    return HourStartUs(from_datetime(dt.datetime(moment.year, moment.month, 1, tzinfo=dt.UTC)))


def next_month_start(at_us: int) -> HourStartUs:
    """Return the first instant after the rating month that contains ``at_us``."""
    moment = to_utc(at_us)
    turn = moment.month == 12  # noqa: PLR2004 - December
    year, month = (moment.year + 1, 1) if turn else (moment.year, moment.month + 1)
    return HourStartUs(from_datetime(dt.datetime(year, month, 1, tzinfo=dt.UTC)))


def month_name(at_us: int) -> str:
    """Return the rating month of ``at_us`` as ``yyyyMM``.

    >>> month_name(from_datetime(dt.datetime(2026, 4, 1, 8, 59, tzinfo=JST)))
    '202603'
    """
    return to_utc(at_us).strftime("%Y%m")


def seconds_to_us(seconds: float | Decimal) -> int:
    """Return a number of seconds, as a person wrote it, in whole µs.

    A float is read by its shortest decimal form, so 33.4 is 33,400,000 and not a neighbour of it.
    Raises ``ValueError`` when the value is not finite or not a whole number of microseconds.

    >>> seconds_to_us(33.4)
    33400000
    """
    exact = seconds if isinstance(seconds, Decimal) else Decimal(str(seconds))
    if not exact.is_finite():
        msg = f"{seconds} is not a finite number of seconds"
        raise ValueError(msg)
    scaled = exact * SECOND_US
    if scaled != scaled.to_integral_value():
        msg = f"{seconds} s is not a whole number of microseconds"
        raise ValueError(msg)
    return int(scaled)


def iso_jst(at_us: int) -> str:
    """Return ``at_us`` as ISO 8601 text in JST, e.g. ``2026-04-01T09:00:00+09:00``."""
    return to_jst(at_us).isoformat()


def iso_utc(at_us: int) -> str:
    """Return ``at_us`` as ISO 8601 text in UTC with ``Z``."""
    return to_utc(at_us).isoformat().replace("+00:00", "Z")
