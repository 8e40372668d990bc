"""Every line of one operator's month, from its facts.

Owns: the order of the rules and the base of the support fee. Does not own: any single rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.billing.corrections import correction_lines
from vpg.billing.coupons import coupon_of, purchase_lines, use_coupons
from vpg.billing.discount import discount_lines
from vpg.billing.flux import flux_month
from vpg.billing.global_coverage import find_rate, to_yen
from vpg.billing.goods import goods_lines
from vpg.billing.interest import interest_lines
from vpg.billing.lines import account_of, usage_lines
from vpg.billing.money import round_up
from vpg.billing.outage import outage_lines
from vpg.billing.rounding import sums
from vpg.billing.support_plan import refund_lines, support_lines
from vpg.catalogue.items import MICRO_YEN

if TYPE_CHECKING:
    from vpg.billing.inputs import OperatorMonth
    from vpg.billing.model import Coupon, InvoiceLine
    from vpg.billing.policy import InvoicePolicy
    from vpg.catalogue.model import Catalogue


def month_lines(
    one: OperatorMonth, month: str, catalogue: Catalogue, policy: InvoicePolicy
) -> list[InvoiceLine]:
    """Return the lines of both coverages, in the order of the invoice; postal fee apart.

    Raises ``InputError`` where a rate, a plan or a tax is missing.
    """
    name = one.operator.operator_id
    account = account_of(catalogue, policy, operator_id=name, month=month)
    lines = usage_lines(one.charges, account, by_day=policy.rounding == "per_day")
    lines += correction_lines(one.corrections, operator_id=name, catalogue=catalogue, policy=policy)
    lines += one.lines
    for part in one.flux:
        place = account_of(catalogue, policy, operator_id=name, month=month, coverage=part.coverage)
        lines += flux_month(part.use, part.table, place, policy).lines
    lines += discount_lines(one.discounts, account, one.base_fee_sims)
    lines += outage_lines(one.outages, account, policy)
    lines += goods_lines(one.goods, account, catalogue)
    support = []
    if one.support is not None:
        base_yen = support_base_yen(lines, one, month, policy)
        support = support_lines(one.support, account, base_yen)
    fee_yen = sum(line.amount_micro or 0 for line in support) // MICRO_YEN
    lines += support
    lines += refund_lines(one.sla_claims, one.service_credit_yen, account, fee_yen)
    lines += purchase_lines(one.coupon_purchases, account, policy)
    lines += interest_lines(one.late_payments, account)
    return lines


def coupons_of(one: OperatorMonth) -> list[Coupon]:
    """Return the coupons held before the month and those bought: a purchase pays from its month."""
    bought = (coupon_of(purchase, one.operator.operator_id) for purchase in one.coupon_purchases)
    return [*one.coupons, *bought]


def support_base_yen(
    lines: list[InvoiceLine], one: OperatorMonth, month: str, policy: InvoicePolicy
) -> int:
    """Return the month's platform bill in yen that the support fee is 5 % of.

    Platform services of both coverages, Global at the month's average (TTL, A-27); without coupon
    purchases and lump sums; tax excluded or not (A-34), goods (A-45), what coupons paid (A-44).
    Never below 0. Source: seed 2, table 1, and its note.
    """
    goods_too = policy.support_goods == "counted"
    base = [line for line in lines if line.support_base or (goods_too and line.kind == "goods")]
    at_home = [x for x in base if x.coverage == "JP"]
    japan = sums(at_home, policy.rounding, "JPY")
    abroad = sums([x for x in base if x.coverage == "GL"], policy.rounding, "USD")
    taxed = policy.support_base == "tax_included"
    yen = japan.tax_included_minor if taxed else japan.tax_excluded_minor
    cents = abroad.tax_included_minor if taxed else abroad.tax_excluded_minor
    if policy.support_coupons == "less_coupons":
        whole = japan.tax_included_minor
        allowed = whole - japan.coupon_barred_minor
        used = use_coupons(
            coupons_of(one), month=month, allowed_yen=allowed, lines=at_home, policy=policy
        )
        paid = sum(use.used_yen for use in used)
        yen = round_up(yen * (whole - paid), whole) if paid else yen
    if cents:
        yen += to_yen(cents, find_rate(one.fx, month, policy.support_rate))
    return max(0, yen)
