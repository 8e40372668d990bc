"""The single rules of an invoice, each at its edges."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from tests.support_billing import (
    CATALOGUE,
    CENT,
    MONTH,
    POLICY,
    YEN,
    account,
    billed,
    carried,
    coupon,
    fee,
    owes,
    policy,
    rates,
)
from vpg.billing.coupons import CouponPurchase, coupon_of, purchase_lines, use_coupons
from vpg.billing.discount import LongTermDiscount, discount_lines, replaced_sims
from vpg.billing.flux import FluxPlan, FluxUse, flux_month
from vpg.billing.global_coverage import find_rate, rate_micro, to_yen
from vpg.billing.goods import Goods, goods_lines
from vpg.billing.interest import LatePayment, interest_lines, late_days, late_interest_yen
from vpg.billing.lines import make_line
from vpg.billing.postal import postal_line
from vpg.billing.rounding import sums, tax_groups
from vpg.billing.small_month import settle
from vpg.billing.support_plan import (
    SlaClaim,
    SupportContract,
    cancelled_last_day,
    is_owed,
    priority_fee_yen,
    refund_lines,
    sla_refund_yen,
    support_lines,
)
from vpg.errors import InputError
from vpg.text import LANGS, render


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def codes(error: pytest.ExceptionInfo[InputError]) -> list[str]:
    for problem in error.value.problems:
        for lang in LANGS:
            render(problem, lang)
    return [problem.code for problem in error.value.problems]


# --- sums and rounding ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rounding", "excluded", "included"),
    [("monthly_total", 46, 50), ("per_item", 46, 50), ("per_day", 46, 51)],
)
def test_where_a_fraction_is_rounded_up(rounding: Any, excluded: int, included: int) -> None:
    # With tax 16.5, 16.5000011 and 16.5: once 49.5000011, by item 33 and 17, by day 17 three times.
    lines = [
        fee(15 * YEN, day=day("2026-04-01")),
        fee(15 * YEN + 1, day=day("2026-04-02"), item="junction_base"),
        fee(15 * YEN, day=day("2026-04-03")),
    ]
    total = sums(lines, rounding, "JPY")
    assert (total.tax_excluded_minor, total.tax_included_minor) == (excluded, included)
    assert total.tax_minor == included - excluded
    assert total.tax_excluded_micro == 45 * YEN + 1


def test_each_tax_class_and_rate_adds_its_own_tax() -> None:
    lines = [
        fee(100 * YEN),
        replace(fee(100 * YEN), tax_ppm=80_000),
        fee(100 * YEN, tax_class="tax_included"),
        fee(100 * YEN, tax_class="untaxed"),
        fee(None),
    ]
    total = sums(lines, "monthly_total", "JPY")
    assert (total.tax_excluded_minor, total.tax_included_minor) == (400, 418)
    assert [(g.tax_class, g.tax_ppm, g.amount_micro) for g in tax_groups(lines)] == [
        ("taxed", 100_000, 100 * YEN),
        ("taxed", 80_000, 100 * YEN),
        ("tax_included", 0, 100 * YEN),
        ("untaxed", 0, 100 * YEN),
    ]


def test_dollars_are_rounded_up_to_a_cent() -> None:
    total = sums([fee(CENT + 1, "GL")], "monthly_total", "USD")
    assert (total.tax_excluded_minor, total.tax_included_minor) == (2, 2)


@pytest.mark.parametrize(("barred", "expected"), [(20 * YEN, 22), (-20 * YEN, 0), (1, 1)])
def test_what_no_coupon_may_pay_is_rounded_up(barred: int, expected: int) -> None:
    lines = [fee(100 * YEN), fee(barred, kind="goods", item="sim")]
    assert sums(lines, "monthly_total", "JPY").coupon_barred_minor == expected


# --- small months -----------------------------------------------------------------------------


def asked(
    minor: int, before: tuple[int, ...] = (), *, last: bool = False, **choices: Any
) -> tuple[int, int, int, str]:
    """Return what is raised, due and carried on, and why there is no invoice."""
    excluded = choices.pop("excluded", minor)
    month = replace(carried(minor, MONTH), tax_excluded_minor=excluded)
    earlier = tuple(carried(one, f"2026{n:02d}") for n, one in enumerate(before, 1))
    done = settle(month, earlier, last=last, tax_ppm=100_000, policy=policy(**choices))
    left = sum(one.tax_included_minor for one in done.carried_out)
    assert done.due_minor + left == minor + sum(before) + done.raised_minor
    return done.raised_minor, done.due_minor, left, done.not_issued


@pytest.mark.parametrize(
    ("minor", "before", "choices", "expected"),
    [
        (0, (), {}, (0, 0, 0, "zero")),
        (49, (), {}, (0, 0, 49, "small_month")),
        (50, (), {}, (0, 50, 0, "")),
        (49, (1,), {}, (0, 50, 0, "")),
        (20, (20,), {}, (0, 0, 40, "small_month")),
        (0, (20,), {}, (0, 0, 20, "small_month")),
        (49, (49,), {"small_month": "until_month"}, (0, 0, 98, "small_month")),
        (50, (49,), {"small_month": "until_month"}, (0, 99, 0, "")),
        (1, (), {"small_month": "bill"}, (0, 1, 0, "")),
        (
            54,
            (),
            {"small_month_compares": "tax_excluded", "excluded": 49},
            (0, 0, 54, "small_month"),
        ),
        (55, (), {"small_month_compares": "tax_excluded", "excluded": 50}, (0, 55, 0, "")),
        (-30, (), {}, (0, 0, -30, "credit")),
        (100, (-30,), {}, (0, 70, 0, "")),
        (30, (-30,), {}, (0, 0, 0, "zero")),
    ],
)
def test_a_small_month_waits(
    minor: int, before: tuple[int, ...], choices: Any, expected: tuple[int, int, int, str]
) -> None:
    assert asked(minor, before, **choices) == expected


@pytest.mark.parametrize(
    ("minor", "before", "choices", "expected"),
    [
        (1, (), {}, (49, 50, 0, "")),
        (49, (), {}, (1, 50, 0, "")),
        (50, (), {}, (0, 50, 0, "")),
        (0, (), {}, (0, 0, 0, "zero")),
        (0, (30,), {}, (20, 50, 0, "")),
        (30, (30,), {}, (0, 60, 0, "")),
        (30, (30,), {"last_small_month": "raise_month"}, (20, 80, 0, "")),
        (0, (30,), {"last_small_month": "raise_month"}, (0, 30, 0, "")),
        (30, (), {"last_small_month": "as_is"}, (0, 30, 0, "")),
        (11, (), {"small_month_compares": "tax_excluded"}, (44, 55, 0, "")),
        # 50 yen that carry no tax are not below 50 yen, compared without tax.
        (50, (), {"small_month_compares": "tax_excluded"}, (0, 50, 0, "")),
        (49, (1,), {"small_month_compares": "tax_excluded"}, (0, 50, 0, "")),
        (-5, (), {}, (0, 0, -5, "credit")),
    ],
)
def test_the_last_small_month_is_raised(
    minor: int, before: tuple[int, ...], choices: Any, expected: tuple[int, int, int, str]
) -> None:
    assert asked(minor, before, last=True, **choices) == expected


# --- late interest ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "paid", "days"),
    [
        ("2026-05-31", "2026-05-20", 0),
        ("2026-05-31", "2026-06-01", 0),
        ("2026-05-31", "2026-06-02", 1),
        ("2023-12-31", "2025-01-01", 366),  # a leap year has its 29 February
    ],
)
def test_interest_runs_from_the_day_after_due_to_the_day_before_payment(
    due: str, paid: str, days: int
) -> None:
    assert late_days(day(due), day(paid)) == days


@pytest.mark.parametrize(
    ("principal", "days", "yen"),
    [
        (36_500, 1, 15),  # 14.5 exactly
        (100_000, 366, 14_540),  # 14539.73: over 365 in a leap year too
        (1, 1, 1),
        (1_000_000_000, 365, 145_000_000),
    ],
)
def test_interest_is_14_5_percent_a_year_rounded_up(principal: int, days: int, yen: int) -> None:
    assert late_interest_yen(principal, days) == yen


def test_only_a_debt_that_bears_interest_has_a_line() -> None:
    late = [
        LatePayment(
            invoice_id=f"i{n}", principal_yen=36_500, due_on=day("2026-03-31"), paid_on=day(paid)
        )
        for n, paid in enumerate(("2026-04-01", "2026-04-02"))
    ]
    (line,) = interest_lines(tuple(late), account())
    assert (line.amount_micro, line.tax_class, line.coupon_allowed) == (15 * YEN, "untaxed", False)
    assert "i1" in line.note


# --- goods and post ---------------------------------------------------------------------------


def test_goods_belong_to_the_month_of_dispatch_and_carry_its_tax() -> None:
    def goods(on: str, **more: Any) -> Goods:
        return Goods(
            item="sim", quantity=2, unit_price_micro=820 * YEN, dispatched_on=day(on), **more
        )

    parts = (
        goods("2026-05-01"),
        goods("2026-04-30"),
        goods("2026-04-01", tax_class="tax_included"),
    )
    lines = goods_lines(parts, account(), CATALOGUE)
    assert [str(line.day) for line in lines] == ["2026-04-01", "2026-04-30"]
    assert [line.tax_ppm for line in lines] == [0, 100_000]
    assert {(line.amount_micro, line.coupon_allowed, line.support_base) for line in lines} == {
        (1_640 * YEN, False, False)
    }
    # 2019-10-01 is in the rating month of 8 % for its first nine hours: goods go by their own day.
    old = Goods(item="sim", quantity=1, unit_price_micro=YEN, dispatched_on=day("2019-10-01"))
    (line,) = goods_lines((old,), account(month="201910", tax_ppm=80_000), CATALOGUE)
    assert line.tax_ppm == 100_000


@pytest.mark.parametrize(("reading", "ppm"), [("tax_excluded", 100_000), ("tax_included", 0)])
def test_a_posted_invoice_costs_200_yen(reading: Any, ppm: int) -> None:
    line = postal_line(account(), policy(postal_fee=reading))
    assert (line.amount_micro, line.tax_ppm, line.coupon_allowed) == (200 * YEN, ppm, False)


# --- coupons ----------------------------------------------------------------------------------


def bought(yen: int = 1_000, on: str = "2026-04-30", name: str = "new") -> CouponPurchase:
    return CouponPurchase(coupon_id=name, yen=yen, bought_on=day(on))


def test_a_coupon_costs_at_least_1000_yen() -> None:
    assert coupon_of(bought(1_000), "OP").balance_yen == 1_000
    with pytest.raises(InputError) as error:
        coupon_of(bought(999), "OP")
    assert codes(error) == ["VPG1703"]


@pytest.mark.parametrize(("reading", "ppm"), [("untaxed", 0), ("taxed", 100_000)])
def test_a_coupon_is_invoiced_with_the_month_it_is_bought_in(reading: Any, ppm: int) -> None:
    choices = policy(coupon_purchase=reading)
    parts = (bought(), bought(on="2026-05-01"), bought(5_000, "2026-04-01", "old"))
    lines = purchase_lines(parts, account(), choices)
    assert [(line.note, line.amount_micro) for line in lines] == [
        ("old", 5_000 * YEN),
        ("new", 1_000 * YEN),
    ]
    assert {(line.tax_ppm, line.coupon_allowed, line.support_base) for line in lines} == {
        (ppm, False, False)
    }


def used(*coupons: Any, allowed: int, **choices: Any) -> list[tuple[str, int, int]]:
    lines = [fee(100 * YEN, item="peering"), fee(100 * YEN)]
    uses = use_coupons(
        coupons, month=MONTH, allowed_yen=allowed, lines=lines, policy=policy(**choices)
    )
    return [(use.coupon_id, use.used_yen, use.balance_after_yen) for use in uses]


@pytest.mark.parametrize(
    ("first", "last", "valid"),
    [
        ("202604", "202604", True),
        ("202605", "202612", False),
        ("202601", "202603", False),
        ("202503", "202604", True),
    ],
)
def test_a_coupon_pays_from_its_first_to_its_last_month(first: str, last: str, valid: bool) -> None:
    one = coupon(10, first_month=first, last_month=last)
    assert used(one, allowed=100) == ([("c", 10, 0)] if valid else [])


def test_coupons_pay_no_more_than_they_hold_and_may() -> None:
    assert used(coupon(500), allowed=300) == [("c", 300, 200)]
    assert used(coupon(500), allowed=900) == [("c", 500, 0)]
    assert used(coupon(500), allowed=0) == []
    assert used(coupon(500), allowed=-1) == []
    assert used(coupon(0), allowed=9) == []


def test_the_coupon_that_ends_first_pays_first_or_the_one_given_first() -> None:
    late, early = coupon(100, "late"), coupon(100, "early", last_month="202605")
    assert used(late, early, allowed=150) == [("early", 100, 0), ("late", 50, 50)]
    assert used(late, early, allowed=150, coupon_order="as_given") == [
        ("late", 100, 0),
        ("early", 50, 50),
    ]


def test_a_coupon_for_one_item_pays_that_items_fee_with_tax() -> None:
    one, two = coupon(500, "a", item="peering"), coupon(500, "b", item="peering")
    assert used(one, allowed=220) == [("a", 110, 390)]
    assert used(one, two, allowed=220) == [("a", 110, 390)]
    assert used(coupon(60, "a", item="peering"), two, allowed=220) == [
        ("a", 60, 0),
        ("b", 50, 450),
    ]
    assert used(coupon(500, item="vif"), allowed=220) == []


def test_a_coupon_for_an_item_pays_no_goods_of_that_name() -> None:
    lines = (fee(100 * YEN), fee(100 * YEN, kind="goods", item="sim"))
    document = billed(owes(lines=lines, coupons=(coupon(500, item="sim"),)))
    assert (document.coupon_yen, document.payable_yen) == (0, 220)


# --- Global coverage --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "abc", "0", "-1", "NaN", "Infinity", "1e99999999", "10000.1", "1.0000001"]
)
def test_what_is_no_rate_is_told(text: str) -> None:
    with pytest.raises(InputError) as error:
        rate_micro(text)
    assert codes(error) == ["VPG1705"]


@pytest.mark.parametrize(
    ("text", "micro"), [("0.000001", 1), ("150", 150 * YEN), ("10000", 10**10)]
)
def test_a_rate_is_exact(text: str, micro: int) -> None:
    assert rate_micro(text) == micro


def test_dollars_become_yen_rounded_up() -> None:
    tts, ttl = rates(tts=151_230_000)
    assert find_rate((ttl, tts), MONTH, "TTS") is tts
    assert find_rate((ttl, tts), MONTH, "TTL") is ttl
    assert [to_yen(cents, tts) for cents in (0, 1, 100, 10_000)] == [0, 2, 152, 15_123]
    assert to_yen(7, None) == 7
    for month, label in (("202605", "TTS"), ("202603", "TTL")):
        with pytest.raises(InputError) as error:
            find_rate((ttl, tts), month, label)  # type: ignore[arg-type]
        assert codes(error) == ["VPG1706"]


@pytest.mark.parametrize(
    ("taxed", "expected"), [(True, ("taxed", 100_000)), (False, ("untaxed", 0))]
)
def test_a_coverage_carries_tax_or_not(taxed: bool, expected: tuple[str, int]) -> None:
    place = replace(account("GL"), taxed=taxed)
    line = make_line(place, "usage", "peering", unit="hour", unit_price_micro=100_000)
    assert (line.tax_class, line.tax_ppm) == expected


# --- long-term discount -----------------------------------------------------------------------


def quota(sims: int, name: str = "q", first: str = MONTH, **more: Any) -> LongTermDiscount:
    fields: dict[str, Any] = {"price_micro": 275 * YEN, "base_fee_micro": 300 * YEN} | more
    return LongTermDiscount(discount_id=name, sims=sims, first_month=first, **fields)


def test_quotas_take_the_place_of_basic_fees_one_after_the_other() -> None:
    quotas = (
        quota(5),
        quota(3, first="202505"),
        quota(9, first="202504"),
        quota(2, first="202605"),
    )
    assert replaced_sims(quotas, MONTH, 7) == [5, 2, 0, 0]
    assert replaced_sims(quotas, "202604", 100) == [5, 3, 0, 0]


@pytest.mark.parametrize(("sims", "replaced"), [(8, 5), (5, 5), (2, 2), (0, 0)])
def test_a_quota_is_owed_whether_used_or_not(sims: int, replaced: int) -> None:
    lines = discount_lines((quota(5),), account(), sims)
    assert [(line.kind, line.amount_micro) for line in lines] == [
        ("long_term", 5 * 275 * YEN),
        *([("discount", -replaced * 300 * YEN)] if replaced else []),
    ]


@pytest.mark.parametrize(
    ("month", "kinds"),
    [
        ("202603", []),
        ("202604", ["lump_sum", "discount"]),
        ("202605", ["discount"]),
        ("202703", ["discount"]),
        ("202704", []),
    ],
)
def test_a_lump_sum_is_owed_once_and_lasts_its_term(month: str, kinds: list[str]) -> None:
    one = quota(2, payment="lump_sum", price_micro=3_000 * YEN)
    lines = discount_lines((one,), account(month=month), 2)
    assert [line.kind for line in lines] == kinds
    assert [line.support_base for line in lines] == [kind == "discount" for kind in kinds]


# --- support plan -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yen", "expected"),
    [(0, 9_800), (195_999, 9_800), (196_000, 9_800), (196_001, 9_801), (196_020, 9_801)],
)
def test_priority_is_the_higher_of_9800_yen_and_5_percent(yen: int, expected: int) -> None:
    assert priority_fee_yen(yen) == expected


@pytest.mark.parametrize(
    ("first", "last", "owed"),
    [
        ("2026-04-30", None, True),
        ("2026-05-01", None, False),
        ("2026-01-01", "2026-04-01", True),
        ("2026-01-01", "2026-03-31", False),
    ],
)
def test_support_is_owed_for_whole_months(first: str, last: str | None, owed: bool) -> None:
    contract = SupportContract(
        plan="priority", first_on=day(first), last_on=None if last is None else day(last)
    )
    assert is_owed(contract, MONTH) is owed
    assert len(support_lines(contract, account(), 0)) == owed


@pytest.mark.parametrize(
    ("notice", "owed"), [("2026-03-31", False), ("2026-04-01", True), ("2026-05-31", True)]
)
def test_support_ends_with_the_month_of_the_notice(notice: str, owed: bool) -> None:
    last = cancelled_last_day(day(notice))
    contract = SupportContract(plan="priority", first_on=day("2026-01-01"), last_on=last)
    assert is_owed(contract, MONTH) is owed


@pytest.mark.parametrize(
    ("plan", "amounts"),
    [("basic", []), ("priority", [20_000 * YEN]), ("enterprise", [70_000 * YEN])],
)
def test_the_fee_of_each_plan(plan: Any, amounts: list[int]) -> None:
    contract = SupportContract(plan=plan, first_on=day("2026-01-01"), quote_yen=70_000)
    lines = support_lines(contract, account(), 400_000)
    assert [line.amount_micro for line in lines] == amounts
    assert all(not line.support_base and line.tax_ppm for line in lines)


@pytest.mark.parametrize(
    ("claimed", "asked_yen", "refund"),
    [
        ("2026-07-31", 5_000, 5_000),
        ("2026-08-01", 5_000, 0),
        ("2026-04-10", 9_801, 9_800),
        ("2026-04-10", -1, 0),
    ],
)
def test_an_sla_refund_is_capped_and_claimed_in_time(
    claimed: str, asked_yen: int, refund: int
) -> None:
    claim = SlaClaim(
        violated_on=day("2026-04-10"),
        claimed_on=day(claimed),
        asked_yen=asked_yen,
        month_fee_yen=9_800,
    )
    assert sla_refund_yen(claim) == refund
    as_credit = replace(claim, as_service_credit=True, asked_yen=1)
    lines = refund_lines((claim, as_credit), 0, account(), 9_800)
    assert [line.amount_micro for line in lines] == ([-refund * YEN] if refund else [])


def test_the_claims_of_a_month_share_its_fee() -> None:
    """The terms cap what a month refunds at its fee (support, 10.6(3)), in money and credit."""
    first = SlaClaim(
        violated_on=day("2026-04-10"),
        claimed_on=day("2026-04-20"),
        asked_yen=6_000,
        month_fee_yen=9_800,
    )
    second, march = replace(first, asked_yen=5_000), replace(first, violated_on=day("2026-03-31"))
    credit = replace(first, as_service_credit=True)

    def refunded(*claims: SlaClaim) -> int | None:
        (line,) = refund_lines(claims, 0, account(), 9_800)
        return line.amount_micro

    assert refunded(first, second) == -9_800 * YEN
    assert refunded(first, march) == -12_000 * YEN
    assert refunded(credit, second) == -3_800 * YEN


@pytest.mark.parametrize(
    ("held", "fee_yen", "paid"), [(500, 9_800, 500), (500, 300, 300), (5, 0, 0)]
)
def test_a_service_credit_pays_support_fees_only(held: int, fee_yen: int, paid: int) -> None:
    lines = refund_lines((), held, account(), fee_yen)
    assert [(line.item, line.amount_micro) for line in lines] == (
        [("support_service_credit", -paid * YEN)] if paid else []
    )


# --- Flux -------------------------------------------------------------------------------------

TABLE = {
    "developer": FluxPlan(
        name="developer", month_fee_micro=0, events_included=100, credits_included=10
    ),
    "standard": FluxPlan(
        name="standard",
        month_fee_micro=500 * YEN,
        events_included=1_000,
        credits_included=100,
        event_price_micro=1_000,
        credit_price_micro=2_000,
    ),
    "unknown": FluxPlan(
        name="unknown", month_fee_micro=None, events_included=0, credits_included=0
    ),
}


def flux(*plans: str, events: int = 0, credits_used: int = 0, **choices: Any) -> Any:
    use = FluxUse(plans=plans, events=events, credits_used=credits_used)
    return flux_month(use, TABLE, account("GL"), policy(**choices))


def test_above_the_quota_flux_costs_or_stops() -> None:
    month = flux("standard", events=1_500, credits_used=101)
    assert [(line.item, line.quantity, line.amount_micro) for line in month.lines] == [
        ("flux_standard", 1, 500 * YEN),
        ("flux_standard_events", 500, 500_000),
        ("flux_standard_credits", 1, 2_000),
    ]
    assert (month.events_stopped, month.credits_stopped) == (0, 0)
    free = flux("developer", events=101, credits_used=11)
    assert [line.amount_micro for line in free.lines] == [0]
    assert (free.events_stopped, free.credits_stopped) == (1, 1)
    within = flux("standard", events=1_000, credits_used=100)
    assert len(within.lines) == 1


def test_an_upgrade_holds_at_once_and_a_downgrade_from_the_next_month() -> None:
    up = flux("developer", "standard", events=150)
    assert [line.item for line in up.lines] == ["flux_standard"]
    assert up.next_plan == "standard"
    both = flux("developer", "standard", flux_upgrade="both_plans")
    assert [line.item for line in both.lines] == ["flux_developer", "flux_standard"]
    down = flux("standard", "developer", events=150)
    assert [line.item for line in down.lines] == ["flux_standard"]
    assert (down.events_stopped, down.next_plan) == (0, "developer")
    aside = flux("developer", "unknown")  # no dearer as far as anybody knows
    assert [line.item for line in aside.lines] == ["flux_developer"]
    assert aside.next_plan == "unknown"


def test_a_plan_without_a_price_is_unpriced() -> None:
    assert [line.amount_micro for line in flux("unknown").lines] == [None]


def test_an_unknown_plan_is_told() -> None:
    with pytest.raises(InputError) as error:
        flux("standart", "developper", "standart")
    assert codes(error) == ["VPG1707", "VPG1707"]


def test_the_default_policy_names_every_assumption_once_a_field() -> None:
    ids = [number for number, _ in POLICY.choices()]
    assert ids == sorted(ids)
    assert len(POLICY.choices()) == 16
