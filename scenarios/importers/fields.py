"""Fields of a row as values: dates, counts, decimals, closed lists of words.

Owns: which spellings are accepted. Does not own: where a bad one is reported (``tally``). Digits
are ASCII only: Python's own ``int`` and ``Decimal`` would take ``1_000``, full-width digits and
``NaN``.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

from scenarios.importers.tally import BadField

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNT_MAX = 10**15
"""Largest count or number of bytes in one field: a petabyte a day and line is a broken file."""

_DAY = re.compile(r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})")
_COMPACT_DAY = re.compile(r"([0-9]{4})()([0-9]{2})([0-9]{2})")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_CACHED = 4_096
"""Dates and words repeat from row to row."""
_COUNT = re.compile(r"[0-9]{1,16}")
_DECIMAL = re.compile(r"[0-9]{1,16}(\.[0-9]{1,12})?")
_UNIT = re.compile(r"\s*([KMGT]i?)?B$", re.IGNORECASE)
_SHOWN_CHARS_MAX = 40


def shown(text: str) -> str:
    """Return ``text`` as a message may show it: short, without control characters."""
    plain = "".join(c if c.isprintable() else "�" for c in text)
    return plain if len(plain) <= _SHOWN_CHARS_MAX else plain[:_SHOWN_CHARS_MAX] + "…"


@functools.lru_cache(maxsize=_CACHED)
def normal(text: str) -> str:
    """Return ``text`` without outer spaces and with full-width letters made plain (NFKC)."""
    return unicodedata.normalize("NFKC", text).strip()


def day(text: str, index: int, path: str) -> dt.date:
    """Return a date written YYYY-MM-DD, YYYY/MM/DD or YYYYMMDD."""
    found = _read_day(text)
    if found is None:
        raise BadField("VPG1320", index, path, value=shown(text), allowed="YYYY-MM-DD")
    return found


def day_or_month(text: str, index: int, path: str) -> dt.date:
    """Return a date; a month (YYYY-MM) is its first day."""
    found = _read_day(f"{text.strip()}-01" if _MONTH.fullmatch(text.strip()) else text)
    if found is None:
        raise BadField("VPG1320", index, path, value=shown(text), allowed="YYYY-MM-DD, YYYY-MM")
    return found


@functools.lru_cache(maxsize=_CACHED)
def _read_day(text: str) -> dt.date | None:
    plain = text.strip()
    match = _DAY.fullmatch(plain) or _COMPACT_DAY.fullmatch(plain)
    if match is None:
        return None
    try:
        return dt.date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def count(text: str, index: int, path: str) -> int:
    """Return a whole number from 0 to ``COUNT_MAX``."""
    plain = text.strip()
    if not _COUNT.fullmatch(plain):
        if plain.isascii() and plain.isdigit():
            raise BadField("VPG1322", index, path, value=shown(text), bound=COUNT_MAX)
        raise BadField("VPG1321", index, path, value=shown(text))
    value = int(plain)
    if value > COUNT_MAX:
        raise BadField("VPG1322", index, path, value=shown(text), bound=COUNT_MAX)
    return value


def decimal(text: str, index: int, path: str) -> Decimal:
    """Return a decimal number from 0 to ``COUNT_MAX`` with at most 12 places."""
    plain = text.strip()
    if not _DECIMAL.fullmatch(plain):
        raise BadField("VPG1321", index, path, value=shown(text))
    value = Decimal(plain)
    if value > COUNT_MAX:
        raise BadField("VPG1322", index, path, value=shown(text), bound=COUNT_MAX)
    return value


def word(text: str, words: Mapping[str, str], index: int, path: str) -> str:
    """Return what ``words`` calls the text; its keys are the allowed spellings."""
    found = words.get(normal(text))
    if found is None:
        raise BadField("VPG1323", index, path, value=shown(text), allowed=", ".join(words))
    return found


def decimal_with_unit(text: str, index: int, path: str) -> Decimal:
    """Return the number of a quota such as ``3`` or ``3GB``; no document tells its unit."""
    number = _UNIT.sub("", text.strip())
    try:
        return decimal(number, index, path)
    except BadField:
        raise BadField("VPG1321", index, path, value=shown(text)) from None
