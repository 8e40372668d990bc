"""The worked invoice: every figure of the page is what the code computes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from tests.support import ROOT
from tests.support_billing import (
    CENT,
    MONTH,
    YEN,
    account,
    billed,
    carried,
    coupon,
    fee,
    owes,
    policy,
)
from vpg.billing.calendar import BusinessCalendar, invoice_dates, month_bounds_us
from vpg.billing.coupons import CouponPurchase, coupon_of
from vpg.billing.discount import LongTermDiscount, discount_lines
from vpg.billing.flux import FluxPlan, FluxUse, flux_month
from vpg.billing.global_coverage import rate_micro
from vpg.billing.interest import late_days, late_interest_yen
from vpg.billing.lines import displayed_minor
from vpg.billing.model import FxRate
from vpg.billing.outage import Outage, credit
from vpg.billing.policy import InvoicePolicy
from vpg.billing.rounding import sums
from vpg.billing.small_month import settle
from vpg.billing.support_plan import priority_fee_yen
from vpg.timebase import HOUR_US

PAGE = (ROOT / "docs" / "invoice.md").read_text(encoding="utf-8")
USUAL = InvoicePolicy()


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table under ``heading``, its head left out; at least two rows."""
    part = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    assert len(rows) > 3
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def yen(cell: str) -> int:
    return int(cell.replace(",", ""))


def test_the_first_invoice() -> None:
    said = dict(table("From lines to what is to pay"))
    lines = [fee(int(part) * YEN) for part in said["lines"].split(" + ")]
    one = billed(owes(lines=tuple(lines)))
    assert one.tax_excluded_yen == yen(said["tax excluded"])
    assert Decimal(one.tax_excluded_yen) * Decimal("1.1") == Decimal(said["with 10 %"])
    assert one.payable_yen == yen(said["to pay"])
    assert {displayed_minor(line) for line in lines} == {yen(said["each line as shown, with tax"])}
    assert one.displayed_tax_included_yen == yen(said["sum of what is shown"])
    assert one.displayed_sum_differs


def test_the_dates() -> None:
    for month, *days in table("When"):
        dates = invoice_dates(month, BusinessCalendar())
        found = (dates.figures_final_on, dates.issue_on, dates.due_on, dates.card_on)
        assert [str(day) for day in found] == days


def test_small_months() -> None:
    for before, own, last, due, left in table("Small months"):
        done = settle(
            carried(yen(own), MONTH),
            (carried(yen(before)),) if yen(before) else (),
            last=last == "yes",
            tax_ppm=100_000,
            policy=USUAL,
        )
        assert done.due_minor == yen(due)
        assert sum(one.tax_included_minor for one in done.carried_out) == yen(left)


def test_coupons() -> None:
    for fees, goods, held, paid, due in table("Coupons"):
        lines = (fee(yen(goods) * YEN, kind="goods", item="sim"),) if yen(goods) else ()
        one = billed(owes(yen(fees) * YEN, lines=lines, coupons=(coupon(yen(held)),)))
        assert (one.coupon_yen, one.payable_yen) == (yen(paid), yen(due))
    new = coupon_of(CouponPurchase(coupon_id="n", yen=1_000, bought_on=dt.date(2026, 4, 9)), "OP")
    first, last = (f"{month[:4]}-{month[4:]}" for month in (new.first_month, new.last_month))
    assert f"it pays {first} to {last}," in PAGE


def test_post() -> None:
    methods = {"e-mail": "invoice_email", "post": "invoice_post"}
    for how, due in table("By post"):
        assert billed(owes(100 * YEN), method=methods[how]).payable_yen == yen(due)


def test_both_coverages() -> None:
    rate = FxRate(month=MONTH, label="TTS", micro_yen_per_usd=rate_micro("151.23"))
    one = billed(owes(100 * YEN, lines=(fee(1_234_567, "GL"),), fx=(rate,)))
    said = dict(table("Several operators, both coverages"))
    japan, abroad = one.sections
    assert Decimal(abroad.due_minor) / 100 == Decimal(said["Global, USD"])
    assert abroad.due_yen == yen(said["Global, yen"])
    assert (japan.due_yen, one.payable_yen) == (yen(said["Japan"]), yen(said["together"]))


def test_interest() -> None:
    for principal, due, paid, days, interest in table("Late interest"):
        late = late_days(dt.date.fromisoformat(due), dt.date.fromisoformat(paid))
        assert late == int(days)
        assert late_interest_yen(yen(principal), late) == yen(interest)


def test_outages() -> None:
    begin = month_bounds_us(MONTH)[0]
    for hours, aware, fault, claimed, lowered in table("Outages"):
        fields: dict[str, Any] = {"fault": fault}
        one = Outage(
            service="vpg",
            began_us=begin,
            aware_us=begin + int(aware) * HOUR_US,
            ended_us=begin + int(hours) * HOUR_US,
            complete=True,
            known_on=dt.date(2026, 4, 1),
            claimed_on=dt.date(2026, 4, 1) + dt.timedelta(days=int(claimed.removesuffix(" days"))),
            month=MONTH,
            hourly_fee_micro=50 * YEN,
            month_fee_micro=36_000 * YEN,
            **fields,
        )
        assert credit(one, USUAL).amount_micro == yen(lowered) * YEN


def test_support() -> None:
    for bill, due in table("Support"):
        assert priority_fee_yen(yen(bill)) == yen(due)


def test_the_long_term_discount() -> None:
    quota = LongTermDiscount(
        discount_id="q", sims=5, first_month=MONTH, price_micro=275 * YEN, base_fee_micro=300 * YEN
    )
    for sims, base, price, replaced, together in table("Long-term discount"):
        amounts = [line.amount_micro for line in discount_lines((quota,), account(), int(sims))]
        assert amounts == [yen(price) * YEN, yen(replaced) * YEN]
        assert int(sims) * 300 == yen(base)
        assert yen(base) + yen(price) + yen(replaced) == yen(together)


def test_flux() -> None:
    plan = FluxPlan(
        name="p",
        month_fee_micro=500 * 1_000_000,
        events_included=100,
        credits_included=0,
        event_price_micro=1_000,
    )
    for events, due in table("Flux"):
        use = FluxUse(plans=("p",), events=int(events), credits_used=0)
        month = flux_month(use, {"p": plan}, account("GL"), policy())
        cents = sums(month.lines, "monthly_total", "USD").tax_included_minor
        assert Decimal(cents * CENT) / 1_000_000 == Decimal(due)
