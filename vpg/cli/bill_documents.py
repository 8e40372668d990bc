"""The JSON documents of ``vpg bill`` and ``vpg bill check``: closed, versioned.

Owns: their fields; those of an invoice are named as in ``vpg.billing.model``. Amounts keep the unit
in their name: ``*_micro`` is 10^-6, ``*_minor`` 1 yen or 0.01 USD; exact decimals are text.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

import msgspec

from vpg.billing.csv_cells import decimal_text
from vpg.cli.documents import Document, ProblemPart, problem_part

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.billing.csv_compare import Comparison, Difference
    from vpg.billing.csv_detail import DetailRow
    from vpg.cli.billing import Billed


class OperatorPart(Document, frozen=True, kw_only=True):
    """Who owes."""

    operator_id: str
    name: str
    account: str


class LinePart(Document, frozen=True, kw_only=True):
    """One item at one price; ``None``: no price is known."""

    kind: str
    item: str
    month: str
    day: dt.date | None
    vpg_id: str
    imsi: str
    device_id: str
    quantity: int
    unit: str
    unit_price_micro: int | None
    amount_micro: int | None
    tax_class: str
    tax_ppm: int
    source: str
    note: str


class CarriedPart(Document, frozen=True, kw_only=True):
    """A month that waits for a later one."""

    month: str
    tax_excluded_minor: int
    tax_included_minor: int


class CouponUsePart(Document, frozen=True, kw_only=True):
    """What a coupon paid."""

    coupon_id: str
    used_yen: int
    balance_after_yen: int


class SectionPart(Document, frozen=True, kw_only=True):
    """One operator in one coverage."""

    operator: OperatorPart
    coverage: str
    currency: str
    lines: list[LinePart]
    tax_excluded_minor: int
    tax_minor: int
    tax_included_minor: int
    raised_minor: int
    carried_in: list[CarriedPart]
    carried_out: list[CarriedPart]
    due_minor: int
    due_yen: int
    coupons: list[CouponUsePart]
    coupon_yen: int
    payable_yen: int
    not_issued: str
    complete: bool
    unpriced: list[tuple[str, str]]


class DatesPart(Document, frozen=True, kw_only=True):
    """When the month becomes money; days in JST."""

    figures_final_on: dt.date
    issue_on: dt.date
    due_on: dt.date
    card_on: dt.date


class InvoicePart(Document, frozen=True, kw_only=True):
    """One document to one payer."""

    invoice_id: str
    payer: OperatorPart
    method: str
    month: str
    sections: list[SectionPart]
    tax_excluded_yen: int
    tax_yen: int
    tax_included_yen: int
    raised_yen: int
    carried_in_yen: int
    carried_out_yen: int
    coupon_yen: int
    joint_rounding_yen: int
    payable_yen: int
    status: str
    not_issued: str
    convenience_slip: bool
    dates: DatesPart
    complete: bool
    displayed_tax_included_yen: int
    displayed_sum_differs: bool
    choices: list[tuple[str, str]]


class InvoicesDocument(Document, frozen=True, kw_only=True):
    """``vpg bill``."""

    schema_version: Literal["vpgsim-invoices-v1"] = "vpgsim-invoices-v1"
    month: str
    hours_covered: int
    """Hours of the rating month in the run, of ``hours``."""
    hours: int
    invoices: list[InvoicePart]
    files: list[str]
    warnings: list[ProblemPart]


class RowPart(Document, frozen=True, kw_only=True):
    """A row of a bill; prices and amounts are exact decimals, tax excluded."""

    things: dict[str, str]
    date: str
    item: str
    unit_price: str | None
    quantity: int
    amount: str | None
    line: int
    """Line in the CSV; 0: computed."""


class ReasonPart(Document, frozen=True, kw_only=True):
    """Why two rows differ, and by how much of the difference."""

    why: str
    amount: str


class DifferencePart(Document, frozen=True, kw_only=True):
    """Two rows that should be equal; null: none on that side."""

    computed: RowPart | None
    actual: RowPart | None
    amount: str
    reasons: list[ReasonPart]


class BillCheckDocument(Document, frozen=True, kw_only=True):
    """``vpg bill check``: ``amount`` is actual minus computed, tax excluded."""

    schema_version: Literal["vpgsim-bill-check-v1"] = "vpgsim-bill-check-v1"
    month: str
    operator: str
    coverage: str
    currency: str
    equal: bool
    grain: str
    rows_equal: int
    computed: str
    actual: str
    amount: str
    differences: list[DifferencePart]
    warnings: list[ProblemPart]


def invoices_document(billed: Billed, files: tuple[Path, ...]) -> InvoicesDocument:
    """Return the document of a bill."""
    return InvoicesDocument(
        month=billed.inputs.month,
        hours_covered=billed.hours_covered,
        hours=billed.hours,
        invoices=[
            msgspec.convert(one, InvoicePart, from_attributes=True) for one in billed.documents
        ],
        files=[str(path) for path in files],
        warnings=[problem_part(note) for note in billed.notes],
    )


def check_document(
    billed: Billed, operator: str, coverage: str, found: Comparison
) -> BillCheckDocument:
    """Return the document of a comparison."""
    return BillCheckDocument(
        month=billed.inputs.month,
        operator=operator,
        coverage=coverage,
        currency=found.currency,
        equal=found.equal,
        grain=found.grain,
        rows_equal=found.rows_equal,
        computed=decimal_text(found.computed_pico),
        actual=decimal_text(found.actual_pico),
        amount=decimal_text(found.actual_pico - found.computed_pico),
        differences=[_difference(one) for one in found.differences],
        warnings=[problem_part(note) for note in billed.notes],
    )


def _difference(one: Difference) -> DifferencePart:
    return DifferencePart(
        computed=_row(one.computed),
        actual=_row(one.actual),
        amount=decimal_text(one.pico),
        reasons=[ReasonPart(why=x.why, amount=decimal_text(x.pico)) for x in one.reasons],
    )


def _row(row: DetailRow | None) -> RowPart | None:
    if row is None:
        return None
    price, amount = row.unit_price_pico, row.amount_pico
    return RowPart(
        things=dict(row.things),
        date=row.date,
        item=row.item,
        unit_price=None if price is None else decimal_text(price),
        quantity=row.quantity,
        amount=None if amount is None else decimal_text(amount),
        line=row.line,
    )
