"""The provider's billing-detail CSV, written and read back.

Owns: its columns and their order, tags, dates, and what a row must be. Does not own: invoices
(``invoice``), the comparison of two bills (``csv_compare``). Source of the columns: provider's
pages on the billing CSV: UTF-8 with BOM; columns of things not in use are left out, so a file is
read by the names in its header; ``date`` is a day for charges and a month for what is of no day.
Names of bill items are our own unless a table of names says otherwise (A-25). Amounts are tax
excluded. Money: ``*_pico`` is 10^-12 of the currency.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from vpg.billing.csv_cells import (
    CURRENCY_COLUMNS,
    MICRO_PICO,
    Rows,
    as_meant,
    csv_text,
    decimal_text,
    harmless,
    is_other_currency,
)
from vpg.billing.lines import account_of, thing_of, usage_lines
from vpg.csvfile import CsvSource
from vpg.errors import InputError, Place, Problem
from vpg.hints import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from vpg.billing.inputs import MonthInputs, OperatorMonth
    from vpg.billing.model import Coverage, Currency, Invoice, InvoiceLine, Section
    from vpg.catalogue.model import Catalogue
    from vpg.csvfile import Encoding, Record

THING_COLUMNS = (
    "imsi",
    "vpgId",
    "loraGatewayId",
    "loraDeviceId",
    "sigfoxDeviceId",
    "deviceId",
    "gadgetId",
    "soraCamDeviceId",
)
COLUMNS = ("date", "billItemName", "unitPrice", "quantity", "amount")
_DAY_DIGITS, _MONTH_DIGITS = 8, 6
Names = dict[str, str]
"""Our name of a bill item → the provider's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailRow:
    """One row: what, when, which item, how much; ``None``: no price is known."""

    things: tuple[tuple[str, str], ...] = ()
    """(column, id), in the order of ``THING_COLUMNS``; none for a row of the account."""
    date: str
    """``yyyyMMdd``, or ``yyyyMM`` for what is of no day."""
    item: str
    unit_price_pico: int | None
    quantity: int
    amount_pico: int | None
    tags: tuple[tuple[str, str], ...] = ()
    line: int = field(default=0, compare=False)
    """Line in the file it was read from."""


class Part(NamedTuple):
    """One operator's rows in one coverage: a file of its own, since it has one currency."""

    operator_id: str
    coverage: Coverage
    currency: Currency
    rows: tuple[DetailRow, ...]


# ---- from invoices -------------------------------------------------------------------------------


def detail_parts(
    documents: Iterable[Invoice],
    inputs: MonthInputs,
    catalogue: Catalogue,
    tags: Mapping[str, tuple[tuple[str, str], ...]] | None = None,
) -> tuple[Part, ...]:
    """Return the rows behind ``documents``, hourly usage by billing day, by operator and coverage.

    Rows alike in all but their quantity become one, so that no file has a row twice. ``tags``: of a
    VPG, IMSI or device.
    """
    months = {one.operator.operator_id: one for one in inputs.operators}
    parts: dict[tuple[str, Coverage, Currency], list[DetailRow]] = {}
    for document in documents:
        for section in document.sections:
            name = section.operator.operator_id
            rows = parts.setdefault((name, section.coverage, section.currency), [])
            lines = _by_day(section, months[name], inputs, catalogue)
            rows += [_row(line, tags or {}) for line in lines]
    return tuple(Part(*key, tuple(_merged(rows))) for key, rows in parts.items())


def _by_day(
    section: Section, one: OperatorMonth, inputs: MonthInputs, catalogue: Catalogue
) -> Iterator[InvoiceLine]:
    """Yield the section's lines; the hourly charges, which come first, by billing day."""
    policy, month = inputs.policy, inputs.month
    account = account_of(
        catalogue, policy, operator_id=section.operator.operator_id, month=inputs.month
    )
    head = usage_lines(one.charges, account, by_day=policy.rounding == "per_day")
    if head and section.month == month and list(section.lines[: len(head)]) == head:
        yield from usage_lines(one.charges, account, by_day=True)
        yield from section.lines[len(head) :]
    else:
        yield from section.lines


def _row(line: InvoiceLine, tags: Mapping[str, tuple[tuple[str, str], ...]]) -> DetailRow:
    ids = (("imsi", line.imsi), ("vpgId", line.vpg_id), ("deviceId", line.device_id))
    price, amount = line.unit_price_micro, line.amount_micro
    return DetailRow(
        things=tuple((column, value) for column, value in ids if value),
        date=line.month if line.day is None else f"{line.day:%Y%m%d}",
        item=line.item,
        unit_price_pico=None if price is None else price * MICRO_PICO,
        quantity=line.quantity,
        amount_pico=None if amount is None else amount * MICRO_PICO,
        tags=line.tags or tags.get(thing_of(line), ()),
    )


def _merged(rows: Sequence[DetailRow]) -> Iterator[DetailRow]:
    quantities: dict[tuple[object, ...], tuple[DetailRow, int]] = {}
    for row in rows:
        key = _identity(row)
        first, quantity = quantities.get(key, (row, 0))
        quantities[key] = (first, quantity + row.quantity)
    for row, quantity in quantities.values():
        price = row.unit_price_pico
        yield DetailRow(
            things=row.things,
            date=row.date,
            item=row.item,
            unit_price_pico=price,
            quantity=quantity,
            amount_pico=None if price is None else price * quantity,
            tags=row.tags,
        )


def _identity(row: DetailRow) -> tuple[object, ...]:
    return row.things, row.date, row.item, row.unit_price_pico, row.tags


# ---- writing -------------------------------------------------------------------------------------


def detail_csv(rows: Sequence[DetailRow], names: Mapping[str, str] | None = None) -> bytes:
    """Return the file of ``rows``: UTF-8 with BOM, CRLF; ``names``: our item → the provider's."""
    named = names or {}
    used = {column for row in rows for column, _ in row.things}
    things = [column for column in THING_COLUMNS if column in used]
    tags = list(dict.fromkeys(name for row in rows for name, _ in row.tags))
    table = [[*things, *COLUMNS, *map(harmless, tags)]]
    for row in rows:
        ids, values = dict(row.things), dict(row.tags)
        table.append(
            [
                *(harmless(ids.get(column, "")) for column in things),
                row.date,
                harmless(named.get(row.item, row.item)),
                "" if row.unit_price_pico is None else decimal_text(row.unit_price_pico),
                str(row.quantity),
                "" if row.amount_pico is None else decimal_text(row.amount_pico),
                *(harmless(values.get(tag, "")) for tag in tags),
            ]
        )
    return csv_text(table).encode("utf-8-sig")


# ---- reading -------------------------------------------------------------------------------------


def read_detail(
    source: Path | bytes,
    *,
    month: str,
    currency: Currency,
    encoding: Encoding = "auto",
    names: Mapping[str, str] | None = None,
) -> tuple[DetailRow, ...]:
    """Return the rows of a billing-detail CSV of the rating month ``yyyyMM``.

    Raises ``InputError`` with every problem and its place: columns that are missing or there
    twice, rows of another length, rows twice, numbers with separators, full-width digits or a sign
    of a currency, another currency, days that are none or after the month, or a bill of another
    month.
    """
    csv = CsvSource(source, encoding)
    found = Rows(csv.file)
    records = csv.records()
    header = next(records, None)
    if header is None:
        place = Place(file=csv.file, line=1, column=1)
        raise InputError([Problem(code="VPG1732", place=place)])
    reader = _Reader(found, header, month, currency, {v: k for k, v in (names or {}).items()})
    rows = tuple(row for record in records if (row := reader.row(record)) is not None)
    reader.check_whole(rows)
    found.refuse()
    return rows


class _Reader:
    """Reads rows by the names in the header."""

    def __init__(
        self, found: Rows, header: Record, month: str, currency: Currency, ours: Mapping[str, str]
    ) -> None:
        self._found = found
        self._header = header
        self._month = month
        self._currency = currency
        self._ours = ours
        self._first: dict[tuple[object, ...], int] = {}
        self._begins: Record | None = None
        self._columns: dict[str, int] = {}
        for index, cell in enumerate(header.fields):
            name = as_meant(cell)
            if name in self._columns:
                found.add("VPG1721", header, index, column=name)
            self._columns.setdefault(name, index)
        for column in COLUMNS:
            if column not in self._columns:
                hint = closest(column, self._columns)
                found.add("VPG1720", header, 0, column=column, wanted=", ".join(COLUMNS), hint=hint)
        found.refuse()
        self._tags = [n for n in self._columns if n not in COLUMNS and n not in THING_COLUMNS]

    def row(self, record: Record) -> DetailRow | None:
        """Return a row, or None for an empty line or one with problems, which are kept."""
        found, columns = self._found, self._columns
        if not any(record.fields) and not record.broken:
            return None
        self._begins = self._begins or record
        if record.broken:
            found.add("VPG1723", record, 0, reason=record.broken)
            return None
        if len(record.fields) != len(self._header.fields):
            wanted = len(self._header.fields)
            found.add("VPG1722", record, 0, found=len(record.fields), wanted=wanted)
            return None
        before = len(found.problems)
        self._check_currency(record)
        price, amount = (self._money(record, columns[name]) for name in ("unitPrice", "amount"))
        if (price is None) != (amount is None):
            found.add("VPG1739", record, columns["unitPrice"])
        date, item = (as_meant(record.fields[columns[name]]) for name in ("date", "billItemName"))
        self._check_date(record, date)
        if not item:
            found.add("VPG1740", record, columns["billItemName"])
        row = DetailRow(
            things=self._named(record, [c for c in THING_COLUMNS if c in columns]),
            date=date,
            item=self._ours.get(item, item),
            unit_price_pico=price,
            quantity=found.number(record, columns["quantity"], whole=True),
            amount_pico=amount,
            tags=self._named(record, self._tags),
            line=record.line,
        )
        if len(found.problems) > before:
            return None
        first = self._first.setdefault(_identity(row), record.line)
        if first != record.line:
            found.add("VPG1729", record, 0, line=first)
        return row

    def check_whole(self, rows: Sequence[DetailRow]) -> None:
        """Keep what is wrong with the file as a whole: no row, or none of the month."""
        if self._begins is None:
            self._found.add("VPG1732", self._header, 0)
        elif rows and not any(row.date.startswith(self._month) for row in rows):
            values = {"value": rows[0].date[:_MONTH_DIGITS], "month": self._month}
            self._found.add("VPG1730", self._begins, self._columns["date"], **values)

    def _named(self, record: Record, columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
        cells = ((name, as_meant(record.fields[self._columns[name]])) for name in columns)
        return tuple((name, value) for name, value in cells if value)

    def _money(self, record: Record, index: int) -> int | None:
        return self._found.number(record, index) if record.fields[index] else None

    def _check_currency(self, record: Record) -> None:
        for name in CURRENCY_COLUMNS.intersection(self._columns):
            index = self._columns[name]
            if is_other_currency(record.fields[index], self._currency):
                self._found.add("VPG1726", record, index, value=record.fields[index])

    def _check_date(self, record: Record, date: str) -> None:
        index = self._columns["date"]
        if not is_date(date):
            self._found.add("VPG1728", record, index, value=date)
        elif date[:_MONTH_DIGITS] > self._month:
            self._found.add("VPG1731", record, index, value=date, month=self._month)


def is_date(text: str) -> bool:
    """Return whether ``text`` is a day ``yyyyMMdd`` or a month ``yyyyMM``.

    >>> [is_date(text) for text in ("20260430", "202604", "20260431", "2026-04", "２０２６０４")]
    [True, True, False, False, False]
    """
    if not (text.isascii() and text.isdecimal()) or len(text) not in (_DAY_DIGITS, _MONTH_DIGITS):
        return False
    try:
        dt.date(int(text[:4]), int(text[4:6]), int(text[6:] or 1))
    except ValueError:
        return False
    return True
