"""Whole invoices: what is joined, what is issued, what is carried, and that it adds up."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from scenarios.register import register
from tests.support_billing import (
    CATALOGUE,
    CENT,
    MONTH,
    OPERATOR,
    OTHER,
    POLICY,
    YEN,
    billed,
    carried,
    coupon,
    fee,
    month_of,
    owes,
    policy,
    rates,
)
from vpg.billing.calendar import month_bounds_us
from vpg.billing.coupons import CouponPurchase
from vpg.billing.discount import LongTermDiscount
from vpg.billing.flux import FluxPlan, FluxUse
from vpg.billing.goods import Goods
from vpg.billing.inputs import FluxPart, check
from vpg.billing.interest import LatePayment
from vpg.billing.invoice import invoice, invoices
from vpg.billing.lines import displayed_minor
from vpg.billing.month_lines import month_lines
from vpg.billing.outage import Outage
from vpg.billing.policy import InvoicePolicy
from vpg.billing.support_plan import SupportContract
from vpg.errors import EnsureError, InputError
from vpg.rating.charges import ChargeRow
from vpg.text import LANGS, render
from vpg.timebase import HOUR_US

USD = 1_000_000
CARD: dict[str, Any] = {"method": "card"}


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def sim_cards(on: str = "2026-04-20", yen: int = 820) -> Goods:
    return Goods(item="sim", quantity=1, unit_price_micro=yen * YEN, dispatched_on=day(on))


def codes(error: pytest.ExceptionInfo[InputError]) -> list[str]:
    for problem in error.value.problems:
        for lang in LANGS:
            render(problem, lang)
    return [problem.code for problem in error.value.problems]


# --- one operator -----------------------------------------------------------------------------


def test_tax_is_added_once_and_the_shown_figures_need_not_add_up() -> None:
    one = billed(owes(15 * YEN, 15 * YEN, 15 * YEN))
    assert (one.tax_excluded_yen, one.tax_yen, one.tax_included_yen) == (45, 5, 50)
    assert (one.payable_yen, one.status, one.not_issued) == (50, "issued", "")
    shown = [displayed_minor(line) for line in one.sections[0].lines]
    assert shown == [17, 17, 17]
    assert (one.displayed_tax_included_yen, one.displayed_sum_differs) == (51, True)
    assert not billed(owes(100 * YEN)).displayed_sum_differs


def test_a_month_of_charges_is_an_invoice() -> None:
    begin = month_bounds_us(MONTH)[0]

    def charge(hour: int, item: str, price: int | None) -> ChargeRow:
        return ChargeRow(
            vpg_id="shop",
            hour_start_us=begin + hour * HOUR_US,
            bill_item=item,
            quantity=1,
            unit_price_micro_yen=price,
            amount_micro_yen=price,
        )

    charges = [charge(hour, "vpg_c_small", 50 * YEN) for hour in range(-1, 721)]
    charges += [charge(0, "contract_fee_c", 980 * YEN), charge(3, "beam_requests", 1)]
    one = billed(owes(charges=tuple(charges)))
    (section,) = one.sections
    assert [(line.item, line.unit, line.quantity) for line in section.lines] == [
        ("beam_requests", "request", 1),
        ("contract_fee_c", "time", 1),
        ("vpg_c_small", "hour", 720),
    ]
    assert (one.tax_excluded_yen, one.payable_yen) == (36_981, 40_679)
    assert one.complete
    unpriced = billed(owes(charges=(charge(0, "vpg_g", None), charge(1, "line_basic", None))))
    assert not unpriced.complete
    assert unpriced.sections[0].unpriced == (("shop", "line_basic"), ("shop", "vpg_g"))
    assert (unpriced.not_issued, unpriced.displayed_tax_included_yen) == ("zero", 0)
    by_day = billed(owes(charges=tuple(charges)), policy=policy(rounding="per_day"))
    assert {line.day for line in by_day.sections[0].lines if line.item == "vpg_c_small"} == {
        dt.date(2026, 4, 1) + dt.timedelta(days=n) for n in range(30)
    }
    assert by_day.tax_excluded_yen == 36_981


def test_a_month_of_nothing_has_no_invoice() -> None:
    one = billed(owes())
    assert (one.status, one.not_issued, one.payable_yen) == ("not_issued", "zero", 0)
    assert one.sections[0].lines == ()


def test_a_small_month_is_billed_with_the_next() -> None:
    first = billed(owes(40 * YEN))
    assert (first.not_issued, first.carried_out_yen, first.payable_yen) == ("small_month", 44, 0)
    (left,) = first.sections[0].carried_out
    assert (left.month, left.tax_excluded_minor, left.tax_included_minor) == (MONTH, 40, 44)
    may = replace(fee(10 * YEN), month="202605")
    second = billed(owes(lines=(may,), carried_in=(left,)), month="202605")
    assert (second.tax_included_yen, second.carried_in_yen, second.payable_yen) == (11, 44, 55)
    last = billed(owes(lines=(may,), carried_in=(), last=True), month="202605")
    assert (last.tax_included_yen, last.raised_yen, last.payable_yen) == (11, 39, 50)


def test_credits_beyond_the_fees_wait_for_later_fees() -> None:
    one = billed(owes(100 * YEN, -150 * YEN))
    assert (one.not_issued, one.payable_yen, one.carried_out_yen) == ("credit", 0, -55)


def test_a_late_correction_keeps_its_months_tax_and_leaves_the_old_invoice() -> None:
    late = replace(fee(1_000 * YEN), month="201909", tax_ppm=80_000, kind="correction")
    one = billed(owes(100 * YEN, lines=(late,)))
    assert one.tax_included_yen == 1_080 + 110
    assert [line.kind for line in one.sections[0].lines] == ["usage", "correction"]


# --- coupons ----------------------------------------------------------------------------------


def test_a_month_that_coupons_pay_has_no_invoice() -> None:
    one = billed(owes(100 * YEN, coupons=(coupon(500),)))
    assert (one.status, one.not_issued) == ("not_issued", "paid_by_coupon")
    assert (one.coupon_yen, one.payable_yen) == (110, 0)
    assert [use.balance_after_yen for use in one.sections[0].coupons] == [390]


def test_a_coupon_is_invoiced_itself_and_pays_from_the_month_it_is_bought_in() -> None:
    new = CouponPurchase(coupon_id="new", yen=1_000, bought_on=day("2026-04-02"))
    one = billed(owes(100 * YEN, coupon_purchases=(new,)))
    assert (one.tax_included_yen, one.coupon_yen, one.payable_yen) == (1_110, 110, 1_000)


def test_coupons_never_pay_goods_nor_a_waiting_month() -> None:
    one = billed(owes(100 * YEN, goods=(sim_cards(),), coupons=(coupon(5_000),)))
    assert (one.coupon_yen, one.payable_yen) == (110, 902)
    small = billed(owes(10 * YEN, coupons=(coupon(5_000),)))
    assert (small.coupon_yen, small.not_issued) == (0, "small_month")
    earlier = carried(30, coupon_barred_minor=20)
    later = billed(owes(100 * YEN, coupons=(coupon(5_000),), carried_in=(earlier,)))
    assert (later.coupon_yen, later.payable_yen) == (120, 20)


# --- posted invoices --------------------------------------------------------------------------


def test_only_an_issued_invoice_costs_postage_and_has_a_slip() -> None:
    one = billed(owes(100 * YEN), method="invoice_post")
    assert (one.payable_yen, one.convenience_slip) == (330, True)
    included = billed(
        owes(100 * YEN), method="invoice_post", policy=policy(postal_fee="tax_included")
    )
    assert included.payable_yen == 310
    assert not billed(owes(100 * YEN)).convenience_slip
    for quiet in (owes(), owes(10 * YEN), owes(100 * YEN, coupons=(coupon(500),))):
        none = billed(quiet, method="invoice_post")
        assert (none.status, none.payable_yen, none.convenience_slip) == ("not_issued", 0, False)


def test_postage_is_rounded_with_the_rest_and_no_coupon_pays_it() -> None:
    one = billed(owes(45 * YEN + 5), method="invoice_post")
    assert one.payable_yen == 270  # 49.5000055 and 220, rounded once
    paid = billed(
        owes(100 * YEN, goods=(sim_cards(),), coupons=(coupon(9_999),)), method="invoice_post"
    )
    assert (paid.coupon_yen, paid.payable_yen) == (110, 902 + 220)


def test_postage_is_owed_although_the_payers_own_month_waits() -> None:
    joined = billed(
        owes(10 * YEN), owes(lines=(other_fee(100),), operator=OTHER), method="invoice_post"
    )
    own, second = joined.sections
    assert (own.due_minor, own.tax_included_minor, own.payable_yen) == (220, 231, 220)
    assert [one.tax_included_minor for one in own.carried_out] == [11]
    assert (second.payable_yen, joined.payable_yen, joined.carried_out_yen) == (110, 330, 11)


# --- several operators ------------------------------------------------------------------------


def other_fee(yen: int, micro: int = 0) -> Any:
    return fee(yen * YEN + micro, operator=OTHER)


def test_operators_share_an_invoice_with_a_breakdown_each() -> None:
    third = replace(OTHER, operator_id="OP0000000000")
    one = billed(
        owes(lines=(other_fee(45),), operator=OTHER),
        owes(45 * YEN),
        owes(lines=(replace(fee(45 * YEN), operator_id=third.operator_id),), operator=third),
        payer=OPERATOR,
    )
    assert [section.operator.operator_id for section in one.sections] == [
        "OP0000000001",
        "OP0000000000",
        "OP0000000002",
    ]
    assert [section.payable_yen for section in one.sections] == [50, 50, 50]
    assert (one.payable_yen, one.joint_rounding_yen) == (150, 0)
    assert one.invoice_id == "OP0000000001-202604"


@pytest.mark.parametrize(
    ("choices", "joint", "payable"),
    [
        ({}, 0, 150),
        ({"joint_rounding": "per_invoice"}, -1, 149),
        ({"joint_rounding": "per_invoice", "rounding": "per_item"}, 0, 150),
    ],
)
def test_their_sum_may_be_rounded_once(choices: Any, joint: int, payable: int) -> None:
    third = replace(OTHER, operator_id="OP0000000003")
    one = billed(
        owes(45 * YEN),
        owes(lines=(other_fee(45),), operator=OTHER),
        owes(lines=(replace(fee(45 * YEN), operator_id=third.operator_id),), operator=third),
        owes(
            lines=(replace(other_fee(0, 100_000), operator_id="OP4"),),
            operator=replace(OTHER, operator_id="OP4"),
        ),
        policy=policy(**choices),
    )
    assert (one.joint_rounding_yen, one.payable_yen) == (joint, payable)
    assert one.carried_out_yen == 1  # 0.11 yen: a waiting month is rounded by itself


# --- Global coverage --------------------------------------------------------------------------


def test_global_is_charged_in_dollars_and_paid_in_yen_with_japan_or_apart() -> None:
    both = owes(100 * YEN, lines=(fee(1_234_567, "GL"),), fx=rates(tts=151_230_000))
    one = billed(both)
    japan, abroad = one.sections
    assert (abroad.tax_excluded_minor, abroad.tax_minor, abroad.due_minor) == (124, 0, 124)
    assert (abroad.due_yen, japan.due_yen, one.payable_yen) == (188, 110, 298)
    apart = invoices(month_of(both, coverages_apart=True), CATALOGUE)
    assert [doc.invoice_id[-3:] for doc in apart] == ["-JP", "-GL"]
    assert [doc.payable_yen for doc in apart] == [110, 188]


@pytest.mark.parametrize(("micro", "due"), [(490_000, 0), (490_001, 50), (500_000, 50)])
def test_below_half_a_dollar_waits(micro: int, due: int) -> None:
    one = billed(owes(lines=(fee(micro, "GL"),), fx=rates()))
    assert one.sections[1].due_minor == due
    assert one.carried_out_yen == (0 if due else 74)  # 0.49 USD at 150 is 73.5
    last = billed(owes(lines=(fee(micro, "GL"),), fx=rates(), last=True))
    assert (last.sections[1].due_minor, last.payable_yen) == (50, 75)


def test_a_waiting_global_month_is_converted_at_the_rate_it_is_billed_with() -> None:
    one = billed(owes(carried_in=(carried(60, coverage="GL"),), fx=rates(), coupons=(coupon(99),)))
    assert (one.tax_included_yen, one.carried_in_yen, one.payable_yen) == (0, 90, 90)
    assert one.coupon_yen == 0  # coupons pay the Japan coverage only


def test_global_may_be_taxed() -> None:
    use = FluxUse(plans=("std",), events=0, credits_used=0)
    table = {
        "std": FluxPlan(
            name="std", month_fee_micro=500 * USD, events_included=1, credits_included=1
        )
    }
    part = FluxPart(coverage="GL", use=use, table=table)
    one = owes(flux=(part,), fx=rates())
    assert billed(one).payable_yen == 75_000
    assert billed(one, policy=policy(global_tax="taxed")).payable_yen == 82_500


def test_global_without_a_rate_is_told() -> None:
    with pytest.raises(InputError) as error:
        billed(owes(lines=(fee(USD, "GL"),)))
    assert codes(error) == ["VPG1706"]
    assert billed(owes(lines=(fee(0, "GL"), fee(None, "GL")))).payable_yen == 0
    # Lines that cancel each other are shown, so they need a rate as well: two cents up, one down.
    parts = (fee(2 * CENT, "GL"), fee(-2 * CENT, "GL", item="vif"), fee(1, "GL"), fee(-1, "GL"))
    with pytest.raises(InputError):
        billed(owes(lines=parts))
    cancelled = billed(owes(lines=parts, fx=rates()))
    assert (cancelled.tax_included_yen, cancelled.displayed_tax_included_yen) == (0, 2)
    other = billed(owes(lines=(fee(USD, "GL"),), fx=rates()), policy=policy(invoice_rate="TTL"))
    assert other.payable_yen == 151


def test_a_posted_invoice_for_global_alone_bears_its_postage_in_yen() -> None:
    both = owes(10 * YEN, lines=(fee(USD, "GL"),), fx=rates(), carried_in=(carried(5),))
    japan, abroad = invoices(month_of(both, coverages_apart=True, method="invoice_post"), CATALOGUE)
    assert (japan.status, japan.carried_out_yen) == ("not_issued", 16)
    assert [section.coverage for section in abroad.sections] == ["JP", "GL"]
    assert (abroad.payable_yen, abroad.carried_in_yen) == (220 + 150, 0)


# --- cards ------------------------------------------------------------------------------------


def test_a_card_is_charged_by_operator_and_coverage_and_for_goods_at_dispatch() -> None:
    one = owes(
        100 * YEN,
        lines=(fee(USD, "GL"),),
        fx=rates(),
        goods=(sim_cards(), sim_cards("2026-04-02", 10), sim_cards("2026-05-02")),
    )
    second = owes(lines=(other_fee(200),), operator=OTHER)
    documents = invoices(month_of(one, second, **CARD), CATALOGUE)
    assert [(doc.invoice_id, doc.payable_yen, str(doc.dates.card_on)) for doc in documents] == [
        ("OP0000000001-202604-JP", 110, "2026-05-01"),
        ("OP0000000001-202604-GL", 150, "2026-05-01"),
        ("OP0000000001-202604-goods-20260402", 11, "2026-04-02"),
        ("OP0000000001-202604-goods-20260420", 902, "2026-04-20"),
        ("OP0000000002-202604-JP", 220, "2026-05-01"),
    ]


def test_a_card_month_of_nothing_is_one_document() -> None:
    (one,) = invoices(month_of(owes(), **CARD), CATALOGUE)
    assert (one.not_issued, one.invoice_id[-3:]) == ("zero", "-JP")


def test_goods_by_card_leave_the_waiting_month_alone() -> None:
    one = owes(10 * YEN, goods=(sim_cards(),), carried_in=(carried(5),), last=False)
    monthly, goods = invoices(month_of(one, **CARD), CATALOGUE)
    assert (monthly.carried_out_yen, goods.payable_yen, goods.carried_in_yen) == (16, 902, 0)


# --- support ----------------------------------------------------------------------------------

PRIORITY = SupportContract(plan="priority", first_on=dt.date(2026, 1, 1))


def support_yen(one: Any, **choices: Any) -> int:
    lines = month_lines(one, MONTH, CATALOGUE, policy(**choices))
    (micro,) = [line.amount_micro for line in lines if line.kind == "support"]
    assert micro is not None
    return micro // YEN


def test_the_support_fee_is_5_percent_of_the_platform_bill() -> None:
    new = CouponPurchase(coupon_id="n", yen=900_000, bought_on=day("2026-04-02"))
    lump = LongTermDiscount(
        discount_id="d",
        sims=100,
        first_month=MONTH,
        payment="lump_sum",
        price_micro=3_000 * YEN,
        base_fee_micro=300 * YEN,
    )
    late = LatePayment(
        invoice_id="i", principal_yen=10**8, due_on=day("2026-01-01"), paid_on=day("2026-04-01")
    )
    one = owes(
        300_000 * YEN,
        coupon_purchases=(new,),
        discounts=(lump,),
        goods=(sim_cards(yen=100_000),),
        late_payments=(late,),
        support=PRIORITY,
    )
    assert support_yen(one) == 15_000
    assert support_yen(one, support_base="tax_included") == 16_500
    assert support_yen(one, support_goods="counted") == 20_000
    # 330,000 yen with tax, all of which the coupon pays.
    assert support_yen(one, support_coupons="less_coupons") == 9_800
    # Goods of 1,100,000 with tax, which no coupon pays: 1,100 of 1,430 parts of 1,300,000 are left.
    dear = replace(one, goods=(sim_cards(yen=1_000_000),))
    assert support_yen(dear, support_coupons="less_coupons", support_goods="counted") == 50_000
    half = replace(one, coupon_purchases=(), coupons=(coupon(66_000),))
    assert support_yen(half, support_coupons="less_coupons") == 12_000
    assert support_yen(replace(half, coupons=()), support_coupons="less_coupons") == 15_000


def test_global_counts_at_the_months_ttl() -> None:
    one = owes(lines=(fee(3_000 * USD, "GL"),), fx=rates(), support=PRIORITY)
    assert support_yen(one) == 22_650
    assert support_yen(one, support_rate="TTS") == 22_500


def test_a_coupon_for_an_item_counts_none_of_its_dollars_as_yen() -> None:
    lines = (fee(3_000 * USD, "GL", item="vif"), fee(300_000 * YEN))
    one = owes(lines=lines, fx=rates(), coupons=(coupon(9_000, item="vif"),), support=PRIORITY)
    assert support_yen(one, support_coupons="less_coupons") == 22_650 + 15_000


def test_credits_lower_the_base_but_never_below_nothing() -> None:
    assert support_yen(owes(300_000 * YEN, -100_000 * YEN, support=PRIORITY)) == 10_000
    assert support_yen(owes(-100_000 * YEN, support=PRIORITY)) == 9_800


def test_support_carries_tax_and_a_service_credit_pays_it() -> None:
    one = billed(owes(support=PRIORITY, service_credit_yen=800))
    assert (one.tax_excluded_yen, one.payable_yen) == (9_000, 9_900)
    assert billed(owes(100 * YEN, service_credit_yen=800)).payable_yen == 110


def test_an_outage_credit_is_on_the_invoice() -> None:
    begin = month_bounds_us(MONTH)[0]
    out = Outage(
        service="vpg",
        began_us=begin,
        aware_us=begin,
        ended_us=begin + 25 * HOUR_US,
        complete=True,
        fault="provider",
        known_on=day("2026-04-01"),
        claimed_on=day("2026-04-02"),
        month=MONTH,
        hourly_fee_micro=50 * YEN,
        month_fee_micro=36_000 * YEN,
    )
    assert billed(owes(36_000 * YEN, outages=(out,))).tax_excluded_yen == 36_000 - 1_200


# --- what cannot be meant ---------------------------------------------------------------------


def test_what_does_not_belong_together_is_told_at_once() -> None:
    person = replace(OPERATOR, account="individual")
    one = owes(
        operator=person,
        lines=(
            other_fee(1),
            replace(fee(1), month="202603"),
            replace(fee(1), kind="correction"),
            replace(fee(1), currency="USD"),
        ),
        carried_in=(carried(1, MONTH), replace(carried(1), operator_id="x")),
        coupons=(coupon(-1), coupon(1, operator_id="x")),
    )
    with pytest.raises(InputError) as error:
        check(month_of(one, one, payer=OTHER))
    own = ["VPG1708", *["VPG1711"] * 8]
    assert codes(error) == ["VPG1709", *own, "VPG1710", *own]
    assert [p.path for p in error.value.problems][:4] == [
        "payer",
        "operators[0]",
        "operators[0].lines[0]",
        "operators[0].lines[1]",
    ]


def test_an_individual_pays_by_card() -> None:
    person = replace(OPERATOR, account="individual")
    (one,) = invoices(month_of(owes(100 * YEN, operator=person), **CARD), CATALOGUE)
    assert one.payable_yen == 110


def test_one_invoice_is_asked_for_where_there_is_one() -> None:
    both = owes(100 * YEN, lines=(fee(USD, "GL"),), fx=rates())
    with pytest.raises(EnsureError):
        invoice(month_of(both, coverages_apart=True), CATALOGUE)


# --- the choices ------------------------------------------------------------------------------


def test_every_choice_is_in_the_register_with_its_default_and_alternatives() -> None:
    import dataclasses
    from typing import get_args, get_type_hints

    rows = {row.id: row for row in register()}
    hints = get_type_hints(InvoicePolicy)
    for field in dataclasses.fields(InvoicePolicy):
        row = rows[field.metadata["id"]]
        readings = set(get_args(hints[field.name]))
        if row.id == "A-27":
            assert f"{field.name}={field.default}" in row.default
            (other,) = readings - {field.default}
            assert f"{field.name}={other}" in row.alternatives
        else:
            assert row.default == field.default
            assert {row.default, *row.alternatives} == readings
    assert billed(owes(YEN)).choices == POLICY.choices()
