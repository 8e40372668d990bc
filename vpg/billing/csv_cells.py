"""Cells of bill CSVs: text that no spreadsheet runs, and numbers that nobody guesses.

Owns: making text harmless and back, exact decimals as whole numbers, what is wrong with a number.
Does not own: columns (``csv_detail``, ``csv_portal``). Money and prices are whole numbers of
``PICO`` (10^-12) of the currency: a price for one byte fits exactly.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpg.csvfile import Record

DECIMALS = 12
PICO = 1_000_000_000_000
MICRO_PICO = 10**6
"""``PICO`` in a millionth."""
_DIGITS_MAX = 18
_STARTS = "=+\\-@＝＋－＠﹦﹢﹣﹫−"
"""What a spreadsheet takes for the begin of a formula, also in its full-width and small forms."""
_DANGER = re.compile(rf"'*(?:[\t\r\n]|\s*[{_STARTS}])")
_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?", re.ASCII)
_CURRENCY = re.compile(
    r"[¥￥$€£＄円]|\b(?:JPY|USD|EUR|GBP|CNY|KRW|TWD|THB|SGD|AUD)\b", re.IGNORECASE
)
_CODE = re.compile(r"[A-Z]{3}")
CURRENCY_COLUMNS = frozenset({"currency", "通貨"})


def harmless(text: str) -> str:
    """Return ``text`` so that no spreadsheet takes it for a formula: ``'`` before it.

    >>> harmless("=1+1"), harmless("gate"), harmless("＝A1"), harmless("'=1")
    ("'=1+1", 'gate', "'＝A1", "''=1")
    """
    return f"'{text}" if _DANGER.match(text) else text


def as_meant(cell: str) -> str:
    """Return the text that ``harmless`` made ``cell`` of.

    >>> [as_meant(harmless(text)) for text in ("=1", "'=1", "'a", "")]
    ['=1', "'=1", "'a", '']
    """
    return cell[1:] if cell.startswith("'") and _DANGER.match(cell) else cell


def decimal_text(pico: int) -> str:
    """Return an exact amount as decimal text without exponent or needless zeros.

    >>> decimal_text(16_500_000_000_000), decimal_text(-1), decimal_text(0)
    ('16.5', '-0.000000000001', '0')
    """
    whole, rest = divmod(abs(pico), PICO)
    sign = "-" if pico < 0 else ""
    return f"{sign}{whole}" + (f".{rest:0{DECIMALS}d}".rstrip("0") if rest else "")


def number_pico(text: str) -> int | str:
    """Return the exact amount that ``text`` says, or the number of the problem with it.

    >>> number_pico("16.5"), number_pico("1,000"), number_pico("１０"), number_pico("$5")
    (16500000000000, 'VPG1724', 'VPG1725', 'VPG1726')
    """
    found = _NUMBER.fullmatch(text)
    if found:
        sign, whole, rest = found[1], found[2], found[3] or ""
        if len(whole) > _DIGITS_MAX or len(rest.rstrip("0")) > DECIMALS:
            return "VPG1727"
        value: int = int(whole) * PICO + int(f"{rest.rstrip('0'):0<{DECIMALS}}")
        return -value if sign else value
    if _CURRENCY.search(text):
        return "VPG1726"
    if any(char.isdecimal() and not char.isascii() for char in text):
        return "VPG1725"
    if any(char.isdigit() for char in text) and re.search("[,，、]", text):
        return "VPG1724"
    return "VPG1727"


def quantity_of(text: str) -> int | str:
    """Return the whole number that ``text`` says, or the number of the problem with it.

    >>> quantity_of("24"), quantity_of("2.5")
    (24, 'VPG1727')
    """
    value = number_pico(text)
    if isinstance(value, str):
        return value
    return "VPG1727" if value % PICO else value // PICO


def is_other_currency(text: str, currency: str) -> bool:
    """Return whether ``text`` is the code of a currency that is not ``currency``.

    >>> is_other_currency("USD", "JPY"), is_other_currency("JPY", "JPY")
    (True, False)
    """
    return bool(_CODE.fullmatch(text)) and text != currency


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return ``rows`` as CSV, CRLF after each."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


class Rows:
    """The problems of one CSV file, each with its exact place."""

    def __init__(self, file: str) -> None:
        """Begin with none; ``file`` is its name in messages."""
        self.file = file
        self.problems: list[Problem] = []

    def add(self, code: str, record: Record, index: int, **values: object) -> None:
        """Keep a problem of field ``index`` of ``record``."""
        line, column = record.spot(index)
        self.problems.append(
            Problem(code=code, place=Place(file=self.file, line=line, column=column), values=values)
        )

    def number(self, record: Record, index: int, *, whole: bool = False) -> int:
        """Return the number in a field, 0 where it is none and the problem is kept."""
        text = record.fields[index]
        value = quantity_of(text) if whole else number_pico(text)
        if isinstance(value, int):
            return value
        self.add(value, record, index, value=text)
        return 0

    def refuse(self) -> None:
        """Raise ``InputError`` with every problem kept, if there is one."""
        if self.problems:
            raise InputError(self.problems)
