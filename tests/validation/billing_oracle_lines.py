"""The clerk's lines: everything a month owes or is owed, exact and before any rounding.

Written from the terms of the VPG services (1), of the support plans (2) and of Flux (3), the
billing guide (0) and the documented readings. Amounts are fractions of a yen or a dollar. Only the
values of the product come in (what was bought, when, for how much), none of its rules.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.validation.billing_oracle_days import (
    begins,
    first_day,
    last_day,
    later,
    month_named,
    period_ends,
)
from tests.validation.billing_oracle_use import moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Sequence

    from tests.validation.billing_oracle_use import Prices
    from vpg.billing.discount import LongTermDiscount
    from vpg.billing.flux import FluxPlan
    from vpg.billing.inputs import FluxPart, OperatorMonth
    from vpg.billing.model import InvoiceLine
    from vpg.billing.outage import Outage
    from vpg.billing.policy import InvoicePolicy
    from vpg.billing.support_plan import SupportContract
    from vpg.rating.charges import ChargeRow

MICRO = 10**6
NO_COUPON = {"goods", "coupon_purchase", "postal", "late_interest", "damages"}
"""A coupon is for services (18.9): not for goods, itself, post, interest or damages."""
PLATFORM = {"usage", "flux", "long_term", "discount", "outage_credit", "correction"}
"""What the month's bill of the platform is made of, of which the support fee is 5 %: neither
prepaid coupons nor lump sums (support terms, note of table 1), nor what is no use of the platform.
"""


@dataclass(frozen=True, kw_only=True)
class Line:
    coverage: str
    kind: str
    month: str
    amount: Fraction | None
    """Yen or dollars without tax, unless ``tax`` is 0; ``None``: nobody knows the price."""
    tax: Fraction
    item: str = ""
    quantity: int = 1
    vpg_id: str = ""
    imsi: str = ""
    device_id: str = ""
    day: dt.date | None = None

    @property
    def known(self) -> Fraction:
        return self.amount or Fraction(0)

    @functools.cached_property
    def taxed(self) -> Fraction:
        return self.known * (1 + self.tax)


@dataclass(frozen=True, kw_only=True)
class Clerk:
    """One operator's month on the desk."""

    one: OperatorMonth
    month: str
    policy: InvoicePolicy
    prices: Prices

    def tax(self, month: str, coverage: str = "JP") -> Fraction:
        """Return the rate in force when the rating month begins (A-33)."""
        if coverage == "GL" and self.policy.global_tax == "untaxed":
            return Fraction(0)
        return self.prices.tax_on(begins(month).date())

    def line(
        self, kind: str, amount: Fraction | None, *, coverage: str = "JP", taxed: bool = True
    ) -> Line:
        tax = self.tax(self.month, coverage) if taxed else Fraction(0)
        return Line(coverage=coverage, kind=kind, month=self.month, amount=amount, tax=tax)


def yen(micro: int | None) -> Fraction | None:
    return None if micro is None else Fraction(micro, MICRO)


def sure(micro: int | None) -> Fraction:
    return Fraction(micro or 0, MICRO)


def lines_of(clerk: Clerk) -> list[Line]:
    """Return every line but the support fee and the postage, which depend on the others."""
    one = clerk.one
    return [
        *used(clerk, one.charges),
        *corrected(clerk),
        *(further(clerk, line) for line in one.lines),
        *goods(clerk),
        *long_term(clerk),
        *coupons_bought(clerk),
        *outages(clerk),
        *interest(clerk),
        *(line for part in one.flux for line in flux(clerk, part)),
        *refunds(clerk),
    ]


def used(clerk: Clerk, charges: Iterable[ChargeRow]) -> Iterator[Line]:
    """Yield one line for each VPG, item and price, and each day where days are rounded."""
    by_day = clerk.policy.rounding == "per_day"
    counts: dict[tuple[str, str, int | None, dt.date | None], int] = defaultdict(int)
    begin, end = begins(clerk.month), begins(later(clerk.month, 1))
    for one in charges:
        hour = moment(one.hour_start_us)
        if begin <= hour < end:
            day = hour.date() if by_day else None
            counts[one.vpg_id, one.bill_item, one.unit_price_micro_yen, day] += one.quantity
    for (vpg_id, item, micro, day), count in counts.items():
        each = yen(micro)
        yield replace(
            clerk.line("usage", None if each is None else each * count),
            vpg_id=vpg_id,
            item=item,
            quantity=count,
            day=day,
        )


def corrected(clerk: Clerk) -> Iterator[Line]:
    """Yield usage of an earlier month found late, with the tax of that month."""
    counts: dict[tuple[str, str, str, int | None, dt.date | None], int] = defaultdict(int)
    for late in clerk.one.corrections:
        month = moment(late.month_us).strftime("%Y%m")
        row = late.charge
        day = moment(row.hour_start_us).date() if clerk.policy.rounding == "per_day" else None
        counts[month, row.vpg_id, row.bill_item, row.unit_price_micro_yen, day] += row.quantity
    for (month, vpg_id, item, micro, day), count in counts.items():
        each = yen(micro)
        # What had no price was never charged, so nothing of it is given back.
        if count > 0 or (count and each is not None):
            yield replace(
                clerk.line("correction", None if each is None else each * count),
                month=month,
                tax=clerk.tax(month),
                vpg_id=vpg_id,
                item=item,
                quantity=count,
                day=day,
            )


def further(clerk: Clerk, line: InvoiceLine) -> Line:
    amount = None if line.unit_price_micro is None else sure(line.unit_price_micro) * line.quantity
    tax = clerk.tax(line.month, line.coverage) if line.tax_class == "taxed" else Fraction(0)
    return Line(
        coverage=line.coverage,
        kind=line.kind,
        month=line.month,
        amount=amount,
        tax=tax,
        item=line.item,
        quantity=line.quantity,
        vpg_id=line.vpg_id,
        imsi=line.imsi,
        device_id=line.device_id,
        day=line.day,
    )


def goods(clerk: Clerk) -> Iterator[Line]:
    """Yield goods, of the calendar month of their dispatch, with the tax of that day."""
    for each in clerk.one.goods:
        if month_named(each.dispatched_on) == clerk.month:
            tax = clerk.prices.tax_on(each.dispatched_on)
            yield replace(
                clerk.line("goods", sure(each.unit_price_micro) * each.quantity),
                tax=tax if each.tax_class == "taxed" else Fraction(0),
                item=each.item,
                quantity=each.quantity,
                day=each.dispatched_on,
            )


def long_term(clerk: Clerk) -> Iterator[Line]:
    """Yield the quota, owed whether used or not, and the basic fees that fall away for it."""
    left = clerk.one.base_fee_sims
    for deal in clerk.one.discounts:
        if not deal.first_month <= clerk.month < later(deal.first_month, deal.months):
            continue
        if deal.payment == "monthly":
            yield _quota(clerk, "long_term", deal)
        elif deal.first_month == clerk.month:
            yield _quota(clerk, "lump_sum", deal)
        covered = min(left, deal.sims)
        left -= covered
        if covered:
            yield replace(
                clerk.line("discount", -covered * sure(deal.base_fee_micro)), quantity=covered
            )


def _quota(clerk: Clerk, kind: str, deal: LongTermDiscount) -> Line:
    return replace(clerk.line(kind, deal.sims * sure(deal.price_micro)), quantity=deal.sims)


def coupons_bought(clerk: Clerk) -> Iterator[Line]:
    for bought in clerk.one.coupon_purchases:
        if month_named(bought.bought_on) == clerk.month:
            taxed = clerk.policy.coupon_purchase == "taxed"
            line = clerk.line("coupon_purchase", Fraction(bought.yen), taxed=taxed)
            yield replace(line, day=bought.bought_on)


def interest(clerk: Clerk) -> Iterator[Line]:
    """Yield 14.5 % a year (12.4) from the day after the due date to the day before payment."""
    for late in clerk.one.late_payments:
        days = (late.paid_on - late.due_on).days - 1
        owed = math.ceil(Fraction(145, 1_000) * late.principal_yen * max(0, days) / 365)
        if owed:
            yield clerk.line("late_interest", Fraction(owed), taxed=False)


# ---- outages (VPG terms 16.2, Flux terms 15.2) ---------------------------------------------------


def outages(clerk: Clerk) -> Iterator[Line]:
    for outage in clerk.one.outages:
        credit = credited(outage, clerk.policy)
        if credit:
            yield replace(clerk.line("outage_credit", -credit), item=outage.service)
        damages = damages_yen(outage, credit)
        if damages:
            yield clerk.line("damages", Fraction(-damages), taxed=False)


def credited(outage: Outage, policy: InvoicePolicy) -> Fraction:
    """Return what whole days of complete outage by the provider's fault take off the fee."""
    start = max(moment(outage.began_us), moment(outage.aware_us))
    days = (moment(outage.ended_us) - start).days
    if outage.fault != "provider" or not outage.complete or days < 1:
        return Fraction(0)
    if outage.claimed_on is None:
        return Fraction(0)
    if outage.claimed_on > period_ends(outage.known_on, 3) and not outage.gross:
        return Fraction(0)
    month_fee = sure(outage.month_fee_micro)
    if outage.service == "vpg" and policy.outage_credit == "hourly_fees":
        credit = days * 24 * sure(outage.hourly_fee_micro)
    else:
        # A bill has six decimals: the only figure that needs more is rounded up, as all are.
        share = month_fee * days / last_day(outage.month).day
        credit = Fraction(math.ceil(share * MICRO), MICRO)
    return credit if outage.gross else min(credit, month_fee)


def damages_yen(outage: Outage, credit: Fraction) -> int:
    """Return the damages the provider answers for beside the credit, in whole yen.

    Both together are no more than the damage and, short of gross negligence, the month's fee.
    """
    if outage.fault == "third_party":
        return 0
    if outage.fault == "carrier_or_cloud":
        return min(outage.damage_yen, outage.received_yen)
    if outage.service == "flux" and not outage.gross:
        return 0
    made_good = math.ceil(credit)
    left = outage.damage_yen - made_good
    if not outage.gross:
        left = min(left, math.floor(sure(outage.month_fee_micro)) - made_good)
    return max(0, left)


# ---- Flux ----------------------------------------------------------------------------------------


def flux(clerk: Clerk, part: FluxPart) -> Iterator[Line]:
    """Yield the month's plan, and what goes beyond its quotas; a downgrade waits a month."""
    plans = [part.table[part.use.plans[0]]]
    for name in part.use.plans[1:]:
        plan = part.table[name]
        if sure(plan.month_fee_micro) > sure(plans[-1].month_fee_micro):
            plans.append(plan)
    owed: Sequence[FluxPlan] = plans if clerk.policy.flux_upgrade == "both_plans" else plans[-1:]
    for plan in owed:
        line = clerk.line("flux", yen(plan.month_fee_micro), coverage=part.coverage)
        yield replace(line, item=f"flux_{plan.name}")
    last = plans[-1]
    for name, used_up, quota, price in (
        ("events", part.use.events, last.events_included, last.event_price_micro),
        ("credits", part.use.credits_used, last.credits_included, last.credit_price_micro),
    ):
        beyond = max(0, used_up - quota)
        if beyond and price is not None:
            line = clerk.line("flux", beyond * sure(price), coverage=part.coverage)
            yield replace(line, quantity=beyond, item=f"{last.name} {name}")


# ---- support -------------------------------------------------------------------------------------


def refunds(clerk: Clerk) -> Iterator[Line]:
    """Yield refunds (10.6) claimed in three months of the month's end, at most that month's fee.

    All refunds of one month share its fee.
    """
    left: dict[str, int] = {}
    money = 0
    for claim in clerk.one.sla_claims:
        month = month_named(claim.violated_on)
        left.setdefault(month, claim.month_fee_yen)
        in_time = claim.claimed_on <= period_ends(last_day(month), 3)
        refund = min(claim.asked_yen, left[month]) if in_time else 0
        left[month] -= refund
        money += 0 if claim.as_service_credit else refund
    if money:
        yield replace(clerk.line("sla_refund", Fraction(-money)), item="money")


def support_fee(clerk: Clerk, platform_yen: Fraction) -> Iterator[Line]:
    """Return 9,800 yen or 5 % of the month's platform bill, rounded up; no part of a month.

    Service credit of before pays it as far as it goes (support terms, 1.3).
    """
    contract = clerk.one.support
    fee = 0
    if contract is not None and contract.plan != "basic" and in_force(contract, clerk.month):
        fee = contract.quote_yen
        if contract.plan == "priority":
            fee = max(9_800, math.ceil(platform_yen * 5 / 100))
        yield clerk.line("support", Fraction(fee))
    credit = min(clerk.one.service_credit_yen, fee)
    if credit:
        yield replace(clerk.line("sla_refund", Fraction(-credit)), item="credit")


def in_force(contract: SupportContract, month: str) -> bool:
    started = contract.first_on <= last_day(month)
    return started and (contract.last_on is None or contract.last_on >= first_day(month))


def rate(clerk: Clerk, label: str) -> Fraction:
    (found,) = (
        sure(each.micro_yen_per_usd)
        for each in clerk.one.fx
        if each.label == label and each.month == clerk.month
    )
    return found
