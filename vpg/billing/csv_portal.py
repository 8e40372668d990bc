"""The operator portal's INVOICE CSV, written and read back.

Owns: its six columns, encodings and tax classes. Does not own: invoices, the provider's detail CSV
(``csv_detail``). Source: portal manual, invoice detail file: telephone number (may be blank),
month, kind of charge, amount, an unused blank, tax class; UTF-8 or Shift-JIS, CRLF. The manual
shows no header row in text (A-29): none is written, one is recognised. Money: ``*_pico`` is 10^-12
yen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vpg.billing.csv_cells import MICRO_PICO, PICO, Rows, as_meant, csv_text, decimal_text, harmless
from vpg.billing.csv_detail import is_date
from vpg.catalogue.items import PPM
from vpg.csvfile import CP932_UNASSIGNED, CsvSource
from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from vpg.billing.model import Invoice, InvoiceLine, Section
    from vpg.csvfile import Encoding, Record

PortalEncoding = Literal["utf-8", "cp932"]
UNTAXED = "非課税"
TAX_INCLUDED = "内税10%"
COLUMNS = 6
_PHONE, _MONTH, _TYPE, _AMOUNT, _BLANK, _TAX = range(COLUMNS)
_TAX_CLASS = re.compile(r"(?:外税|内税) ?\d{1,2}(?:\.\d{1,4})?%|非課税", re.ASCII)
_PERCENT_PPM = PPM // 100
PHONE_TAG = "phone"
"""The tag that holds a line's telephone number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalRow:
    """One charge of one line, or of the account."""

    phone: str = ""
    month: str
    charge_type: str
    amount_pico: int
    tax_class: str
    line: int = field(default=0, compare=False)
    """Line in the file it was read from."""


def portal_rows(documents: Iterable[Invoice]) -> tuple[PortalRow, ...]:
    """Return the rows of ``documents``, in yen: Global coverage is one row, what it became."""
    return tuple(
        row for document in documents for section in document.sections for row in _of(section)
    )


def _of(section: Section) -> Iterator[PortalRow]:
    if section.currency != "JPY":
        if section.due_yen:
            yield PortalRow(
                month=section.month,
                charge_type="global_coverage",
                amount_pico=section.due_yen * PICO,
                tax_class=UNTAXED,
            )
        return
    for line in section.lines:
        if line.amount_micro is not None:
            yield PortalRow(
                phone=dict(line.tags).get(PHONE_TAG, ""),
                month=line.month,
                charge_type=line.item,
                amount_pico=line.amount_micro * MICRO_PICO,
                tax_class=tax_class_of(line),
            )


def tax_class_of(line: InvoiceLine) -> str:
    """Return the portal's word for a line's tax; the manual knows 10 % on top, and none."""
    if line.tax_class == "untaxed":
        return UNTAXED
    if line.tax_class == "tax_included":
        return TAX_INCLUDED
    percent = decimal_text(line.tax_ppm * (PICO // _PERCENT_PPM))
    return f"外税{percent}%"


def portal_csv(
    rows: Sequence[PortalRow],
    encoding: PortalEncoding = "utf-8",
    names: Mapping[str, str] | None = None,
    shown_as: str = "INVOICE",
) -> bytes:
    """Return the file of ``rows``, CRLF.

    Raises ``InputError`` with every row that ``encoding`` has no character for: none is replaced.
    """
    named = names or {}
    table = [
        [
            harmless(row.phone),
            row.month,
            harmless(named.get(row.charge_type, row.charge_type)),
            decimal_text(row.amount_pico),
            "",
            row.tax_class,
        ]
        for row in rows
    ]
    problems = []
    for number, cells in enumerate(table, start=1):
        for cell in cells:
            lost = _lost(cell, encoding)
            if lost:
                place = Place(file=shown_as, line=number, column=1)
                values = {"value": cell, "char": lost, "encoding": encoding}
                problems.append(Problem(code="VPG1736", place=place, values=values))
    if problems:
        raise InputError(problems)
    return csv_text(table).encode(encoding)


def _lost(text: str, encoding: PortalEncoding) -> str:
    """Return the first character that does not come back from ``encoding``; empty: none."""
    for char in text:
        try:
            kept = char.encode(encoding).decode(encoding)
        except UnicodeEncodeError:
            return char
        if kept != char or (encoding == "cp932" and CP932_UNASSIGNED.match(char)):
            return char
    return ""


def read_portal(
    source: Path | bytes,
    *,
    month: str,
    encoding: Encoding = "auto",
    names: Mapping[str, str] | None = None,
) -> tuple[PortalRow, ...]:
    """Return the rows of an INVOICE CSV of ``month``; raises ``InputError`` with every problem."""
    csv = CsvSource(source, encoding)
    found = Rows(csv.file)
    ours = {value: key for key, value in (names or {}).items()}
    rows: list[PortalRow] = []
    for record in csv.records():
        if record.broken:
            found.add("VPG1723", record, 0, reason=record.broken)
        elif any(record.fields) and not _is_header(record):
            row = _read(found, record, ours)
            if row is not None:
                _check_month(found, record, row, month)
                rows.append(row)
    place = Place(file=csv.file, line=1, column=1)
    if not rows:
        found.problems.append(Problem(code="VPG1732", place=place))
    elif not any(row.month == month for row in rows):
        values = {"value": rows[0].month, "month": month}
        found.problems.append(Problem(code="VPG1730", place=place, values=values))
    found.refuse()
    return tuple(rows)


def _is_header(record: Record) -> bool:
    """Return whether a row names the columns: the first one, with no digit before the tax class."""
    cells = record.fields[_MONTH:_BLANK]
    return record.line == 1 and not any(char.isdigit() for cell in cells for char in cell)


def _read(found: Rows, record: Record, ours: Mapping[str, str]) -> PortalRow | None:
    if len(record.fields) != COLUMNS:
        found.add("VPG1722", record, 0, found=len(record.fields), wanted=COLUMNS)
        return None
    cells = [as_meant(cell) for cell in record.fields]
    if not _TAX_CLASS.fullmatch(cells[_TAX]):
        allowed = f"外税10%, {TAX_INCLUDED}, {UNTAXED}"
        found.add("VPG1737", record, _TAX, value=cells[_TAX], allowed=allowed)
    return PortalRow(
        phone=cells[_PHONE],
        month=cells[_MONTH],
        charge_type=ours.get(cells[_TYPE], cells[_TYPE]),
        amount_pico=found.number(record, _AMOUNT),
        tax_class=cells[_TAX],
        line=record.line,
    )


def _check_month(found: Rows, record: Record, row: PortalRow, month: str) -> None:
    if len(row.month) != len(month) or not is_date(row.month):
        found.add("VPG1728", record, _MONTH, value=row.month)
    elif row.month > month:
        found.add("VPG1731", record, _MONTH, value=row.month, month=month)
