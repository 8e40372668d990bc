"""The clerk's invoice: a second implementation of billing, in fractions, for tests only.

Written from the five source documents and the documented readings (``InvoicePolicy``), before and
without the product's rules. ``invoices`` answers for one payer's month what each invoice and each
operator's breakdown on it comes to; ``billing_oracle_use`` has the hours, ``billing_oracle_lines``
the lines, ``billing_oracle_days`` the dates.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from tests.validation.billing_oracle_days import dates, later, month_named
from tests.validation.billing_oracle_lines import (
    NO_COUPON,
    PLATFORM,
    Clerk,
    lines_of,
    rate,
    support_fee,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from tests.validation.billing_oracle_lines import Line
    from tests.validation.billing_oracle_use import Prices
    from vpg.billing.inputs import MonthInputs

SMALL = 50
"""50 yen or 50 cents: the small month (general rule 8; Global 0.5 USD)."""
POSTAGE = Fraction(200)
COUPON_MONTHS = 13


@dataclass(kw_only=True)
class Breakdown:
    """One operator and coverage; whole yen or cents unless it says yen."""

    clerk: Clerk
    coverage: str
    lines: list[Line]
    excluded: int = 0
    included: int = 0
    raised: int = 0
    carried_in: int = 0
    carried_out: list[tuple[str, int, int, int]] = field(default_factory=list)
    """Month, without tax, with tax, and what no coupon may pay of it."""
    due: int = 0
    due_yen: int = 0
    coupons: dict[str, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def shown(self) -> int:
        """Each line with its tax, rounded up by itself, to look at."""
        unit = 1 if self.coverage == "JP" else 100
        return sum(math.ceil(line.taxed * unit) for line in self.lines)

    @property
    def coupon_yen(self) -> int:
        return sum(self.coupons.values())

    @property
    def payable_yen(self) -> int:
        return self.due_yen - self.coupon_yen

    @property
    def unpriced(self) -> set[tuple[str, str]]:
        return {
            (line.vpg_id or line.imsi or line.device_id, line.item)
            for line in self.lines
            if line.amount is None
        }

    def yen(self, minor: int) -> Fraction:
        if self.coverage == "JP":
            return Fraction(minor)
        return Fraction(minor, 100) * rate(self.clerk, self.clerk.policy.invoice_rate)


@dataclass(kw_only=True)
class Document:
    method: str
    breakdowns: list[Breakdown]
    joint_rounding_yen: int = 0
    goods_left_on: dt.date | None = None

    @property
    def dates(self) -> dict[str, dt.date]:
        """Return when the figures are final and money is asked for; goods by card at once."""
        found = dates(self.breakdowns[0].clerk.month)
        return found if self.goods_left_on is None else found | {"card": self.goods_left_on}

    def yen(self, figure: str) -> int:
        """Return the sum of a figure over the breakdowns, each in whole yen."""
        return sum(math.ceil(each.yen(getattr(each, figure))) for each in self.breakdowns)

    @property
    def payable_yen(self) -> int:
        return sum(each.payable_yen for each in self.breakdowns) + self.joint_rounding_yen


# ---- sums ----------------------------------------------------------------------------------------


def rounded(lines: Sequence[Line], policy_rounding: str, value: Callable[[Line], Fraction]) -> int:
    """Return the sum of ``value``, rounded up to the whole yen or cent where the reading says.

    All ``lines`` are of one coverage.
    """
    parts: dict[object, Fraction] = defaultdict(Fraction)
    for line in lines:
        key: object = None
        if policy_rounding == "per_item":
            thing = (line.vpg_id, line.imsi, line.device_id)
            key = (line.kind, thing, line.item, line.month)
        elif policy_rounding == "per_day":
            key = line.day
        parts[key] += value(line)
    minor = 1 if all(line.coverage == "JP" for line in lines) else 100
    return sum(math.ceil(part * minor) for part in parts.values())


def sum_up(each: Breakdown) -> None:
    """Fill in the month's own fee, what was carried to it, and what is due of both."""
    clerk, policy = each.clerk, each.clerk.policy
    each.excluded = rounded(each.lines, policy.rounding, lambda line: line.known)
    each.included = rounded(each.lines, policy.rounding, lambda line: line.taxed)
    before = [one for one in clerk.one.carried_in if one.coverage == each.coverage]
    each.carried_in = sum(one.tax_included_minor for one in before)
    total = each.included + each.carried_in

    without = policy.small_month_compares == "tax_excluded"
    own = each.excluded if without else each.included
    carried = sum(one.tax_excluded_minor if without else one.tax_included_minor for one in before)
    waits = own + (carried if policy.small_month == "until_sum" else 0) < SMALL
    if total == 0:
        each.reason = "zero"
    elif total < 0:
        each.reason = "credit"
    elif clerk.one.last:
        each.raised = raised(each, own, carried)
    elif waits and policy.small_month != "bill":
        each.reason = "small_month"
    if each.reason in {"credit", "small_month"}:
        each.carried_out = [
            (one.month, one.tax_excluded_minor, one.tax_included_minor, one.coupon_barred_minor)
            for one in before
        ]
        if each.included:
            mine = (clerk.month, each.excluded, each.included, barred(each.lines, each.included))
            each.carried_out.append(mine)
    else:
        each.due = total + each.raised
    each.due_yen = math.ceil(each.yen(each.due))


def raised(each: Breakdown, own: int, carried: int) -> int:
    """Return what full cancellation adds to a month below 50 (general rule 8).

    Without tax it is 50 and its tax that a smaller fee becomes.
    """
    policy = each.clerk.policy
    if policy.last_small_month == "as_is":
        return 0
    sums = policy.last_small_month == "raise_sum"
    small = own + (carried if sums else 0)
    if not 0 < small < SMALL:
        return 0
    if policy.small_month_compares == "tax_included":
        return SMALL - small
    target = math.ceil(SMALL * (1 + each.clerk.tax(each.clerk.month, each.coverage)))
    return max(0, target - each.included - (each.carried_in if sums else 0))


def barred(lines: Sequence[Line], included: int) -> int:
    """Return the whole yen or cents, tax included, that no coupon may pay of a month."""
    exact = sum((line.taxed for line in lines if line.kind in NO_COUPON), Fraction(0))
    minor = 1 if all(line.coverage == "JP" for line in lines) else 100
    return max(0, min(included, math.ceil(exact * minor)))


# ---- coupons -------------------------------------------------------------------------------------


class Held(NamedTuple):
    last_month: str
    first_month: str
    coupon_id: str
    yen: int
    item: str


def held(clerk: Clerk) -> list[Held]:
    """Return the coupons that may pay this month, in the order in which they do.

    One bought this month pays from this month on, and 13 further ones.
    """
    valid = [
        Held(one.last_month, one.first_month, one.coupon_id, one.balance_yen, one.item)
        for one in clerk.one.coupons
    ]
    for one in clerk.one.coupon_purchases:
        first = month_named(one.bought_on)
        valid.append(Held(later(first, COUPON_MONTHS), first, one.coupon_id, one.yen, ""))
    valid = [one for one in valid if one.first_month <= clerk.month <= one.last_month]
    return sorted(valid) if clerk.policy.coupon_order == "first_to_end" else valid


def paid_by_coupons(clerk: Clerk, lines: Sequence[Line], at_most: int) -> dict[str, int]:
    """Return coupon id → yen: services with their tax, as far as the balances go.

    One for a single item pays no more than that item.
    """
    left = max(0, at_most)
    items: dict[str, int] = {}
    paid = {}
    for coupon in held(clerk):
        use = min(coupon.yen, left)
        if coupon.item:
            services = (line for line in lines if line.kind not in NO_COUPON)
            own = sum((x.taxed for x in services if x.item == coupon.item), Fraction(0))
            items.setdefault(coupon.item, max(0, math.ceil(own)))
            use = min(use, items[coupon.item])
            items[coupon.item] -= use
        if use:
            left -= use
            paid[coupon.coupon_id] = use
    return paid


# ---- documents -----------------------------------------------------------------------------------


def settle(clerk: Clerk, coverage: str, lines: list[Line]) -> Breakdown:
    """Return the breakdown of ``lines``, coupons paid (those are for Japan coverage)."""
    each = Breakdown(clerk=clerk, coverage=coverage, lines=lines)
    sum_up(each)
    if coverage == "JP" and each.due > 0:
        before = sum(x.coupon_barred_minor for x in clerk.one.carried_in if x.coverage == "JP")
        at_most = each.due - before - barred(lines, each.included)
        each.coupons = paid_by_coupons(clerk, lines, at_most)
    if each.due_yen and not each.payable_yen:
        each.reason = "paid_by_coupon"
    return each


def own_lines(clerk: Clerk) -> dict[str, list[Line]]:
    """Return the month's lines by coverage, the support fee with those of Japan."""
    lines = lines_of(clerk)
    lines += support_fee(clerk, platform_bill(clerk, lines))
    return {name: [line for line in lines if line.coverage == name] for name in ("JP", "GL")}


def platform_bill(clerk: Clerk, lines: Sequence[Line]) -> Fraction:
    """Return the month's bill of the platform in yen: billed amounts, Global at its average rate.

    A bill is whole yen or cents. What coupons paid of it leaves it in proportion (A-44).
    """
    policy = clerk.policy
    kinds = PLATFORM | ({"goods"} if policy.support_goods == "counted" else set())
    bills = {}
    for coverage in ("JP", "GL"):
        own = [line for line in lines if line.coverage == coverage and line.kind in kinds]
        included = rounded(own, policy.rounding, lambda line: line.taxed)
        bill = Fraction(rounded(own, policy.rounding, lambda line: line.known))
        if policy.support_base == "tax_included":
            bill = Fraction(included)
        if coverage == "JP" and policy.support_coupons == "less_coupons":
            paid = sum(paid_by_coupons(clerk, own, included - barred(own, included)).values())
            bill *= 1 - (Fraction(paid, included) if paid else 0)
        bills[coverage] = bill
    if bills["GL"]:
        bills["JP"] += bills["GL"] / 100 * rate(clerk, policy.support_rate)
    return bills["JP"]


def invoices(inputs: MonthInputs, prices: Prices) -> list[Document]:
    """Return what each invoice of the month comes to.

    By invoice, operators are joined and coverages too unless apart (guide 3.4.3, 3.7.1); a card is
    asked for each operator and coverage, and for goods whenever some leave (4.1.1).
    """
    clerks = [
        Clerk(one=one, month=inputs.month, policy=inputs.policy, prices=prices)
        for one in inputs.operators
    ]
    if inputs.method != "card":
        clerks.sort(key=lambda x: (x.one.operator != inputs.payer, x.one.operator.operator_id))
        lines = [own_lines(clerk) for clerk in clerks]
        groups = [("JP",), ("GL",)] if inputs.coverages_apart else [("JP", "GL")]
        found = [document(inputs, clerks, lines, group) for group in groups]
    else:
        found = []
        for clerk in clerks:
            own = own_lines(clerk)
            goods = [line for line in own["JP"] if line.kind == "goods"]
            own["JP"] = [line for line in own["JP"] if line.kind != "goods"]
            asked = [document(inputs, [clerk], [own], (name,)) for name in ("JP", "GL")]
            found += asked if any(asked) else [nothing(inputs, clerk)]
            found += goods_by_card(clerk, goods)
    used = [one for one in found if one is not None]
    return used or [nothing(inputs, clerks[0])]


def nothing(inputs: MonthInputs, clerk: Clerk) -> Document:
    """Return the invoice of a month without anything; it is not issued (guide 3.4.1)."""
    return Document(method=inputs.method, breakdowns=[settle(clerk, "JP", [])])


def document(
    inputs: MonthInputs,
    clerks: Sequence[Clerk],
    lines: Sequence[dict[str, list[Line]]],
    coverages: tuple[str, ...],
) -> Document | None:
    """Return the invoice of ``coverages``; ``None`` when it would hold nothing of the only one."""
    parts = [
        settle(clerk, coverage, own[coverage])
        for clerk, own in zip(clerks, lines, strict=True)
        for coverage in coverages
        if own[coverage] or any(x.coverage == coverage for x in clerk.one.carried_in)
    ]
    if not parts and len(coverages) == 1:
        return None
    payer = clerks[0]
    if not parts or parts[0].clerk is not payer or parts[0].coverage != coverages[0]:
        parts.insert(0, settle(payer, coverages[0], []))
    if inputs.method == "invoice_post" and any(each.payable_yen > 0 for each in parts):
        add_postage(payer, parts)
    whole = Document(method=inputs.method, breakdowns=parts)
    if inputs.policy.joint_rounding == "per_invoice":
        whole.joint_rounding_yen = joint_rounding(parts, inputs.policy.rounding)
    return whole


def add_postage(payer: Clerk, parts: list[Breakdown]) -> None:
    """Add 200 yen for the posted invoice (guide 3.1, 3.3.1): it is owed because there is one.

    So it neither makes a small month large enough nor is it for coupons. It is in yen, also where
    all else is in dollars.
    """
    if parts[0].coverage != "JP":
        parts.insert(0, Breakdown(clerk=payer, coverage="JP", lines=[]))
    each = parts[0]
    fee = payer.line("postal", POSTAGE, taxed=payer.policy.postal_fee == "tax_excluded")
    before = each.included
    each.lines = [*each.lines, fee]
    each.excluded = rounded(each.lines, payer.policy.rounding, lambda line: line.known)
    each.included = rounded(each.lines, payer.policy.rounding, lambda line: line.taxed)
    each.due += each.included - before
    each.due_yen += each.included - before
    each.reason = ""


def joint_rounding(parts: Sequence[Breakdown], rounding: str) -> int:
    """Return what one rounding of all operators' fees takes off the sum of single ones (A-41).

    Of what is due now in yen, where the month's sum is what is rounded.
    """
    now = [x for x in parts if x.coverage == "JP" and x.payable_yen > 0 and not x.carried_out]
    if rounding != "monthly_total":
        return 0
    exact = sum((line.taxed for each in now for line in each.lines), Fraction(0))
    return math.ceil(exact) - sum(each.included for each in now)


def goods_by_card(clerk: Clerk, goods: Sequence[Line]) -> list[Document]:
    """Return a charge for each day of dispatch: no fee of a month, so none is too small."""
    found = []
    for day in sorted({line.day for line in goods if line.day is not None}):
        lines = [line for line in goods if line.day == day]
        each = Breakdown(clerk=clerk, coverage="JP", lines=lines)
        each.excluded = rounded(lines, clerk.policy.rounding, lambda line: line.known)
        each.included = rounded(lines, clerk.policy.rounding, lambda line: line.taxed)
        each.due = each.due_yen = each.included
        each.reason = "" if each.due else "zero"
        found.append(Document(method="card", breakdowns=[each], goods_left_on=day))
    return found
