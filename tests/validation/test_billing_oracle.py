"""Invoices of random months against a clerk's in fractions: not a yen apart, in totals and lines.

A failure names its seed and keeps it under ``tests/failures``; ``check_month(seed)`` repeats it.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, get_args

import pytest

from tests.support_billing_random import random_month
from tests.validation import billing_oracle
from tests.validation.billing_oracle_days import begins
from tests.validation.billing_oracle_lines import MICRO, NO_COUPON
from tests.validation.billing_oracle_use import (
    TAX,
    Prices,
    Scale,
    counted,
    hourly,
    moment,
    requests,
)
from vpg.billing.invoice import invoices
from vpg.billing.model import LineKind, NotIssued
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargeRow, rate_hours, rate_usage
from vpg.rating.late import Correction
from vpg.timebase import month_start

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support_billing_random import OperatorUse, RandomMonth
    from tests.validation.billing_oracle import Breakdown, Document
    from vpg.billing.model import Invoice, Section
    from vpg.catalogue.model import Catalogue

BLOCK = 250
SHORT = 5_000
LONG = 100_000
SEEN = 250

INSPECTION = """
effective_from = 2019-01-01
replace = true
[[limit]]
item = "inspection_lines_per_unit"
value = 10000
unit = "lines"
"""
PRICES = """
[[price]]
item = "vpg_e"
value = 15.5
unit = "yen/h"
[[price]]
item = "vpg_c_small"
value = 60.25
unit = "yen/h"
effective_from = 2026-04-15
[[price]]
item = "peering"
value = 12.000001
unit = "yen/h"
effective_from = 2026-05-01
"""
USAGE = """
[[usage]]
item = "beam_requests"
value = 0.0009
unit = "yen/request"
free = 100
legs = 2
tiers = [ { above = 1000, value = 0.000801 }, { above = 1500, value = 0.5 } ]
[[usage]]
item = "funnel_requests"
value = 0.333333
unit = "yen/request"
[[usage]]
item = "line_basic"
value = 10
unit = "yen/line/month"
free = 10
tiers = [ { above = 11, value = 9.5 } ]
"""
TAXES = """
[[tax]]
item = "consumption_tax"
value = 12
unit = "percent"
effective_from = 2026-04-15
[[tax]]
item = "consumption_tax"
value = 15
unit = "percent"
effective_from = 2026-05-01
"""


def yen(text: str) -> Fraction:
    return Fraction(text)


OWN_PRICES: dict[str, tuple[tuple[dt.date, Fraction], ...]] = {
    "vpg_e": ((dt.date(2019, 1, 1), yen("15.5")),),
    "vpg_c_small": ((dt.date(2026, 4, 15), yen("60.25")),),
    "peering": ((dt.date(2026, 5, 1), yen("12.000001")),),
}
OWN_USAGE = {
    "beam_requests": Scale(
        yen=yen("0.0009"),
        free=100,
        above=((1_000, yen("0.000801")), (1_500, yen("0.5"))),
        legs=2,
    ),
    "funnel_requests": Scale(yen=yen("0.333333")),
    "line_basic": Scale(yen=yen("10"), free=10, above=((11, yen("9.5")),)),
}
OWN_TAX = (
    *TAX,
    (dt.date(2026, 4, 15), Fraction(12, 100)),
    (dt.date(2026, 5, 1), Fraction(15, 100)),
)


@dataclass(frozen=True)
class Tables:
    """The same prices twice: as the product reads them, and as the clerk does."""

    catalogue: Catalogue
    prices: Prices

    def tax_ppm(self, month: str) -> int:
        return int(self.prices.tax_on(begins(month).date()) * MICRO)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tables, ...]:
    """Return the terms alone; with prices that change; with use; with taxes to come."""
    folder = tmp_path_factory.mktemp("tables")
    written = (
        (INSPECTION, Prices()),
        (INSPECTION + PRICES, Prices(own=OWN_PRICES)),
        (INSPECTION + PRICES + USAGE, Prices(own=OWN_PRICES, usage=OWN_USAGE)),
        (INSPECTION + USAGE + TAXES, Prices(usage=OWN_USAGE, tax=OWN_TAX)),
    )
    return tuple(
        Tables(_catalogue(folder / f"table-{number}.toml", text), prices)
        for number, (text, prices) in enumerate(written)
    )


def _catalogue(path: Path, text: str) -> Catalogue:
    path.write_text(text, encoding="utf-8")
    return load_catalogue([path])


# ---- one month, both ways ------------------------------------------------------------------------


def check_month(seed: int, tables: Sequence[Tables]) -> list[Document]:
    """Compare every charge, line and total of the month of ``seed``; return the clerk's."""
    held = tables[seed % len(tables)]
    month = random_month(seed, held.tax_ppm)
    inputs = month.rated(
        functools.partial(_charges, month=month, catalogue=held.catalogue),
        functools.partial(_corrections, month=month, catalogue=held.catalogue),
    )
    for use, one in zip(month.uses, inputs.operators, strict=True):
        assert _as_charges(one.charges) == _clerks_charges(use, month, held.prices)
    made = invoices(inputs, held.catalogue)
    expected = billing_oracle.invoices(inputs, held.prices)
    assert len(made) == len(expected)
    for document, clerks in zip(made, expected, strict=True):
        for section, part in zip(document.sections, clerks.breakdowns, strict=True):
            assert _lines(section) == _clerks_lines(part)
            assert _figures(section) == _clerks_figures(part)
        assert _totals(document) == _clerks_totals(clerks)
    return expected


def _charges(use: OperatorUse, month: RandomMonth, catalogue: Catalogue) -> list[ChargeRow]:
    charges = rate_hours(use.rows, catalogue, month.charge_policy)
    return [*charges, *rate_usage(use.lines, catalogue)]


def _corrections(use: OperatorUse, month: RandomMonth, catalogue: Catalogue) -> list[Correction]:
    found = []
    for row, back in use.late:
        for one in rate_hours([row], catalogue, month.charge_policy):
            sign = -1 if back else 1
            amount = one.amount_micro_yen
            charge = ChargeRow(
                vpg_id=one.vpg_id,
                hour_start_us=one.hour_start_us,
                bill_item=one.bill_item,
                quantity=sign * one.quantity,
                unit_price_micro_yen=one.unit_price_micro_yen,
                amount_micro_yen=None if amount is None else sign * amount,
            )
            found.append(Correction(month_start(one.hour_start_us), charge))
    begin = int(begins(month.inputs.month).timestamp()) * MICRO
    return [one for one in found if one.month_us < begin]


def _micro(amount: Fraction | None) -> int | Fraction | None:
    """Return millionths, as a whole number where they are one: those are quick to compare."""
    if amount is None:
        return None
    whole, rest = divmod(amount.numerator * MICRO, amount.denominator)
    return amount * MICRO if rest else whole


def _as_charges(charges: Sequence[ChargeRow]) -> Counter[tuple[object, ...]]:
    return Counter(
        (
            one.vpg_id,
            moment(one.hour_start_us),
            one.bill_item,
            one.quantity,
            one.unit_price_micro_yen,
        )
        for one in charges
    )


def _clerks_charges(
    use: OperatorUse, month: RandomMonth, prices: Prices
) -> Counter[tuple[object, ...]]:
    found = hourly(use.rows, prices, month.charge_policy) + requests(use.rows, prices)
    if any(item.startswith("line") for item in prices.usage):
        uses = ((one.hour_start_us, one.vpg_id, one.bill_item, one.quantity) for one in use.lines)
        found += counted(uses, prices)
    return Counter((*one[:4], _micro(one.yen_each)) for one in found)


# ---- what is compared ----------------------------------------------------------------------------

PLAIN = {"usage", "correction", "goods", "other"}
"""Kinds whose item names are facts; the others are named by whoever makes the line."""


def _lines(section: Section) -> Counter[tuple[object, ...]]:
    return Counter(
        (
            line.kind,
            line.item if line.kind in PLAIN else "",
            line.month,
            line.vpg_id or line.imsi or line.device_id,
            line.quantity,
            Fraction(line.tax_ppm, MICRO),
            line.coupon_allowed,
            None if line.amount_micro is None else line.amount_micro,
        )
        for line in section.lines
    )


def _clerks_lines(part: Breakdown) -> Counter[tuple[object, ...]]:
    return Counter(
        (
            line.kind,
            line.item if line.kind in PLAIN else "",
            line.month,
            line.vpg_id or line.imsi or line.device_id,
            line.quantity,
            line.tax,
            line.kind not in NO_COUPON,
            None if line.amount is None else line.amount * MICRO,
        )
        for line in part.lines
    )


def _figures(section: Section) -> dict[str, object]:
    return {
        "operator": section.operator.operator_id,
        "coverage": section.coverage,
        "excluded": section.tax_excluded_minor,
        "included": section.tax_included_minor,
        "raised": section.raised_minor,
        "carried out": [
            (x.month, x.tax_excluded_minor, x.tax_included_minor, x.coupon_barred_minor)
            for x in section.carried_out
        ],
        "due": section.due_minor,
        "due yen": section.due_yen,
        "coupons": {one.coupon_id: one.used_yen for one in section.coupons},
        "payable": section.payable_yen,
        "reason": section.not_issued,
        "unpriced": set(section.unpriced),
        "complete": section.complete,
    }


def _clerks_figures(part: Breakdown) -> dict[str, object]:
    return {
        "operator": part.clerk.one.operator.operator_id,
        "coverage": part.coverage,
        "excluded": part.excluded,
        "included": part.included,
        "raised": part.raised,
        "carried out": part.carried_out,
        "due": part.due,
        "due yen": part.due_yen,
        "coupons": part.coupons,
        "payable": part.payable_yen,
        "reason": part.reason,
        "unpriced": part.unpriced,
        "complete": not part.unpriced,
    }


def _totals(document: Invoice) -> dict[str, object]:
    return {
        "excluded": document.tax_excluded_yen,
        "included": document.tax_included_yen,
        "tax": document.tax_yen,
        "coupons": document.coupon_yen,
        "joint": document.joint_rounding_yen,
        "payable": document.payable_yen,
        "issued": document.status == "issued",
        "slip": document.convenience_slip,
        "shown": document.displayed_tax_included_yen,
        "shown differs": document.displayed_sum_differs,
        "final": document.dates.figures_final_on,
        "issue": document.dates.issue_on,
        "due on": document.dates.due_on,
        "card": document.dates.card_on,
    }


def _clerks_totals(clerks: Document) -> dict[str, object]:
    excluded, included, shown = (clerks.yen(x) for x in ("excluded", "included", "shown"))
    issued = clerks.payable_yen > 0
    return {
        "excluded": excluded,
        "included": included,
        "tax": included - excluded,
        "coupons": sum(each.coupon_yen for each in clerks.breakdowns),
        "joint": clerks.joint_rounding_yen,
        "payable": clerks.payable_yen,
        "issued": issued,
        "slip": issued and clerks.method == "invoice_post",
        "shown": shown,
        "shown differs": shown != included,
        **clerks.dates,
    }


def check_block(block: int, tables: Sequence[Tables]) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        try:
            check_month(seed, tables)
        except Exception as error:
            error.add_note(f"check_month({seed}, tables)")
            raise


def test_the_months_hold_every_kind_of_line_and_every_end(tables: tuple[Tables, ...]) -> None:
    months = [check_month(seed, tables) for seed in range(SEEN)]
    parts = [part for month in months for each in month for part in each.breakdowns]
    assert {line.kind for part in parts for line in part.lines} == set(get_args(LineKind))
    assert {part.reason for part in parts} == set(get_args(NotIssued))
    assert {part.coverage for part in parts if part.coupons} == {"JP"}
    assert any(part.raised for part in parts if part.coverage == "GL")
    assert any(each.joint_rounding_yen for month in months for each in month)


@pytest.mark.parametrize("block", range(SHORT // BLOCK))
def test_not_a_yen_apart(block: int, tables: tuple[Tables, ...]) -> None:
    check_block(block, tables)


@pytest.mark.long
@pytest.mark.parametrize("block", range(SHORT // BLOCK, LONG // BLOCK))
def test_not_a_yen_apart_in_many(block: int, tables: tuple[Tables, ...]) -> None:
    check_block(block, tables)
