"""Texts of the reports in ja and en, by key, and how figures are written for people.

Owns: ``texts.toml``. Does not own: error texts (``vpg/messages``). Times in: ``SimUs``; out: JST.
"""

from __future__ import annotations

import functools
import tomllib
import unicodedata
from importlib import resources

from vpg.errors import ensure
from vpg.timebase import DAY_US, HOUR_US, MINUTE_US, SECOND_US, to_jst

_MILLI_US = 1_000
_MANY = 10


@functools.cache
def table() -> dict[str, dict[str, str]]:
    """Return every text: key → language → text with ``str.format`` placeholders."""
    raw = resources.files("reports").joinpath("texts.toml").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = {}
    for group, entries in tomllib.loads(raw).items():
        for name, texts in entries.items():
            found[f"{group}.{name}"] = texts
    return found


def text(key: str, lang: str, /, **values: object) -> str:
    """Return the text ``key`` ("group.name") in ``lang`` ("ja", "en") with ``values`` filled in."""
    ensure(key in table(), f"the report text {key} exists")
    return table()[key][lang].format(**values)


def label(group: str, name: str, lang: str) -> str:
    """Return the word for an enum value or bill item ``name``; ``name`` where none is known."""
    texts = table().get(f"{group}.{name}")
    return name if texts is None else texts[lang]


class Counted(str):
    """A number as text that says what it counts in the words behind the colon.

    >>> "{0:line|lines}, {1:line|lines}".format(counted(1), counted(1_200))
    '1 line, 1,200 lines'
    """

    __slots__ = ()

    def __format__(self, names: str) -> str:
        """Return the number with the fitting name; what is no number stands alone."""
        one, _, many = names.partition("|")
        if not names or not self[:1].isdecimal():
            return str(self)
        return f"{self!s} {one if self == '1' else many}"


def counted(number: int) -> Counted:
    """Return ``number`` with thousands separators, ready to be counted."""
    return Counted(f"{number:,}")


def plain(words: str) -> str:
    """Return what a stranger wrote on one line, unable to steer a terminal."""
    return "".join(
        " " if unicodedata.category(char).startswith(("C", "Z")) else char for char in words
    )


def moment(at_us: int, lang: str) -> str:
    """Return an instant (SimUs) for people, in JST to the minute.

    >>> moment(1_775_001_600_000_000, "ja"), moment(1_775_001_600_000_000, "en")
    ('2026年4月1日 09:00', '2026-04-01 09:00')
    """
    at = to_jst(at_us)
    day = f"{at.year}年{at.month}月{at.day}日" if lang == "ja" else f"{at:%Y-%m-%d}"
    return f"{day} {at:%H:%M}"


def duration(us: int, lang: str) -> str:
    """Return a length of time (µs) for people with three figures and a fitting unit.

    Whole minutes and hours are told as such, others from 10 of the unit on; days from two on.

    >>> [duration(us, "en") for us in (0, 999, 1_500, 69_200_000, 90_000_000, 1_800_000_000)]
    ['0 s', '999 µs', '1.5 ms', '69.2 s', '90 s', '30 min']
    >>> [duration(hours * 3_600_000_000, "en") for hours in (24, 48, 49, 2208)]
    ['24 h', '2 days', '49 h', '92 days']
    """
    if us >= 2 * DAY_US and us % DAY_US == 0:
        return _measure(trim(us, DAY_US), "day", lang)
    for unit, name in ((HOUR_US, "hour"), (MINUTE_US, "minute")):
        if us >= unit and (us % unit == 0 or us >= _MANY * unit):
            return _measure(trim(us, unit), name, lang)
    for unit, name in ((SECOND_US, "second"), (_MILLI_US, "milli")):
        if us >= unit:
            return _measure(trim(us, unit), name, lang)
    return _measure(str(us), "micro" if us else "second", lang)


def _measure(figure: str, unit: str, lang: str) -> str:
    return f"{figure}{'' if lang == 'ja' else ' '}{label('unit', unit, lang)}"


def trim(count: int, unit: int) -> str:
    """Return ``count`` / ``unit`` with thousands separators, three figures kept below 100.

    >>> trim(1_500, 1_000), trim(123_456, 1_000), trim(12_340_000, 1_000)
    ('1.5', '123', '12,340')
    """
    for digits, below in ((2, 10), (1, 100)):
        if count < below * unit:
            scale = 10**digits
            rounded = (count * scale + unit // 2) // unit
            return f"{rounded // scale}.{rounded % scale:0{digits}d}".rstrip("0").rstrip(".")
    return f"{(count + unit // 2) // unit:,}"


def percent(ppm: int) -> str:
    """Return a share in parts per million as per cent; a share above 0 never reads as 0.

    >>> percent(4_000), percent(1), percent(1_000_000), percent(970_000), percent(999_999)
    ('0.40%', '<0.01%', '100%', '97.00%', '99.99%')
    """
    if ppm in (0, 1_000_000):
        return f"{ppm // 10_000}%"
    if 0 < ppm < 100:  # noqa: PLR2004 - below the last digit shown
        return "<0.01%"
    if ppm < 1_000_000:  # noqa: PLR2004 - round down: never show 100% for less
        return f"{ppm // 10_000}.{ppm // 100 % 100:02d}%"
    return f"{ppm // 10_000:,}%"
