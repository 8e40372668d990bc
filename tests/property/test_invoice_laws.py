"""Laws of every invoice: nothing is lost between months, and no order of anything matters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support_billing import (
    CATALOGUE,
    MONTH,
    OPERATOR,
    OTHER,
    YEN,
    billed,
    coupon,
    fee,
    month_of,
    owes,
    rates,
)
from vpg.billing.calendar import month_bounds_us, months_later
from vpg.billing.invoice import invoice
from vpg.billing.month import bill_months
from vpg.billing.policy import InvoicePolicy
from vpg.rating.charges import ChargeRow
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from vpg.billing.model import CarriedOver, Coverage, InvoiceLine

POLICIES = st.builds(
    InvoicePolicy,
    rounding=st.sampled_from(["monthly_total", "per_item", "per_day"]),
    small_month=st.sampled_from(["until_sum", "until_month", "bill"]),
    last_small_month=st.sampled_from(["raise_sum", "raise_month", "as_is"]),
    small_month_compares=st.sampled_from(["tax_included", "tax_excluded"]),
    postal_fee=st.sampled_from(["tax_excluded", "tax_included"]),
    joint_rounding=st.sampled_from(["per_operator", "per_invoice"]),
    coupon_order=st.sampled_from(["first_to_end", "as_given"]),
    support_coupons=st.sampled_from(["usage_in_full", "less_coupons"]),
)
AMOUNTS = st.one_of(
    st.integers(-60 * YEN, 200 * YEN),
    st.sampled_from([0, 1, 15 * YEN, 49 * YEN, 45_454_545, 45_454_546, 10**12]),
)
KINDS = st.sampled_from(["usage", "usage", "goods", "late_interest"])
COVERAGES: st.SearchStrategy[Coverage] = st.sampled_from(["JP", "JP", "GL"])
ITEMS = st.sampled_from(["fixed_ip", "peering", "vif"])


@st.composite
def fees(draw: st.DrawFn) -> tuple[InvoiceLine, ...]:
    """Draw a few lines of April 2026 of either coverage."""
    lines = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(KINDS)
        coverage = draw(COVERAGES) if kind == "usage" else "JP"
        lines.append(fee(draw(AMOUNTS), coverage, kind=kind, item=draw(ITEMS)))
    return tuple(lines)


COUPONS = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from(["", "", "vif"])), max_size=3
).map(lambda held: tuple(coupon(yen, f"c{n}", item=item) for n, (yen, item) in enumerate(held)))


def in_month(line: InvoiceLine, month: str) -> InvoiceLine:
    return replace(line, month=month)


@given(
    months=st.lists(fees(), min_size=1, max_size=5),
    coupons=COUPONS,
    reading=POLICIES,
    posted=st.booleans(),
    last=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_from_month_to_month_nothing_is_lost_or_made(
    months: list[Any], coupons: Any, reading: InvoicePolicy, posted: bool, last: bool
) -> None:
    month, held = MONTH, coupons
    carried: tuple[CarriedOver, ...] = ()
    owed = paid = 0
    for number, lines in enumerate(months):
        one = owes(
            lines=tuple(in_month(line, month) for line in lines),
            carried_in=carried,
            coupons=held,
            fx=tuple(replace(rate, month=month, micro_yen_per_usd=100 * YEN) for rate in rates()),
            last=last and number == len(months) - 1,
        )
        inputs = month_of(
            one, month=month, policy=reading, method="invoice_post" if posted else "invoice_email"
        )
        document = invoice(inputs, CATALOGUE)
        assert document == invoice(inputs, CATALOGUE)
        # At 100 yen a dollar cents are yen, so that amounts of both coverages add up across months.
        owed += document.tax_included_yen + document.raised_yen
        paid += document.payable_yen + document.coupon_yen
        assert (document.payable_yen > 0) == (document.status == "issued")
        assert (document.not_issued == "") == (document.status == "issued")
        for section in document.sections:
            assert section.payable_yen >= 0
            assert section.tax_excluded_minor + section.tax_minor == section.tax_included_minor
            barred = sum(
                (line.amount_micro or 0) for line in section.lines if not line.coupon_allowed
            )
            if not section.carried_out:
                assert section.payable_yen * YEN >= min(barred, section.due_yen * YEN)
        carried = tuple(part for section in document.sections for part in section.carried_out)
        spent = {use.coupon_id: use for section in document.sections for use in section.coupons}
        held = tuple(
            replace(one, balance_yen=spent[one.coupon_id].balance_after_yen)
            if one.coupon_id in spent
            else one
            for one in held
        )
        assert all(one.balance_yen >= 0 for one in held)
        month = months_later(month, 1)
    assert owed == paid + sum(part.tax_included_minor for part in carried)


@given(lines=fees(), coupons=COUPONS, reading=POLICIES, data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_order_of_lines_does_not_matter(
    lines: Any, coupons: Any, reading: InvoicePolicy, data: st.DataObject
) -> None:
    mixed = tuple(data.draw(st.permutations(lines)))
    one, two = (
        billed(owes(lines=each, coupons=coupons, fx=rates()), policy=reading)
        for each in (lines, mixed)
    )
    figures = ("tax_excluded_yen", "tax_included_yen", "coupon_yen", "payable_yen", "not_issued")
    assert [getattr(one, name) for name in figures] == [getattr(two, name) for name in figures]


@given(
    first=st.integers(0, 100 * YEN),
    second=st.integers(0, 100 * YEN),
    reading=POLICIES,
)
def test_a_joint_invoice_is_never_dearer_and_less_than_a_yen_cheaper_for_each(
    first: int, second: int, reading: InvoicePolicy
) -> None:
    parts = (
        owes(first),
        owes(lines=(fee(second, operator=OTHER),), operator=OTHER),
    )
    joint = billed(*parts, policy=reading)
    alone = [billed(part, policy=reading, payer=part.operator).payable_yen for part in parts]
    assert joint.payable_yen == sum(alone) + joint.joint_rounding_yen
    assert joint.joint_rounding_yen in {0, -1}
    assert joint.payer == OPERATOR


@pytest.mark.parametrize("rounding", ["monthly_total", "per_item", "per_day"])
@given(
    cells=st.lists(
        st.tuples(
            st.integers(-2, 725),
            st.sampled_from(["a", "b"]),
            st.sampled_from(["vpg_c_small", "fixed_ip", "contract_fee_c"]),
            st.integers(1, 3),
            st.sampled_from([None, 0, 1, 333_333, 15 * YEN, 50 * YEN]),
        ),
        max_size=12,
    )
)
@settings(max_examples=100, deadline=None)
def test_an_invoice_of_charges_is_the_bill_of_a_run(rounding: Any, cells: Any) -> None:
    begin = month_bounds_us(MONTH)[0]
    charges = [
        ChargeRow(
            vpg_id=vpg_id,
            hour_start_us=begin + hour * HOUR_US,
            bill_item=item,
            quantity=quantity,
            unit_price_micro_yen=price,
            amount_micro_yen=None if price is None else price * quantity,
        )
        for hour, vpg_id, item, quantity, price in cells
    ]
    months = {one.month: one for one in bill_months(charges, CATALOGUE, rounding).months}
    document = billed(owes(charges=charges), policy=InvoicePolicy(rounding=rounding))
    bill = months.get(MONTH)
    expected = (bill.tax_excluded_yen, bill.tax_included_yen) if bill else (0, 0)
    assert (document.tax_excluded_yen, document.tax_included_yen) == expected
    unpriced = {
        (vpg, item) for hour, vpg, item, _, price in cells if price is None and 0 <= hour < 720
    }
    assert set(document.sections[0].unpriced) == unpriced
