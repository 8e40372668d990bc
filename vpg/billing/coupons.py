"""Prepaid coupons: bought, valid for a while, and used up month by month.

Owns: what a coupon is worth, when and for what. Does not own: which lines no coupon may pay
(``lines.COUPON_BARRED``). Money: whole yen, tax included: while the balance lasts a month has
nothing to pay, so the tax is paid too (seed 0, 4.2.1). No refund, no cash, no reissue (seed 1,
18.9(2); seed 3, 17.3(2)): there is no function for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.billing.calendar import month_of, months_later
from vpg.billing.lines import MINOR_MICRO, Account, make_line
from vpg.billing.model import Coupon, CouponUse
from vpg.billing.money import round_up
from vpg.billing.rounding import with_tax_micro_ppm
from vpg.catalogue.items import PPM
from vpg.errors import InputError, Problem

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from vpg.billing.model import InvoiceLine
    from vpg.billing.policy import InvoicePolicy

COUPON_YEN_MIN = 1_000
"""Sold from 1,000 yen, by the yen (provider's coupon page)."""
COUPON_MONTHS = 13
"""Bought in March 2018 it pays the months 2018-03 to 2019-04 (provider's coupon page)."""
SOURCE = "Billing guide (March 2021), 4.2.1; provider's coupon page"


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponPurchase:
    """A coupon bought; it is invoiced with the month of the purchase."""

    coupon_id: str
    yen: int
    bought_on: dt.date


def coupon_of(purchase: CouponPurchase, operator_id: str) -> Coupon:
    """Return the coupon that a purchase makes; raises ``InputError`` below 1,000 yen.

    >>> import datetime as dt
    >>> bought = CouponPurchase(coupon_id="c", yen=1_000, bought_on=dt.date(2018, 3, 28))
    >>> coupon = coupon_of(bought, "OP1")
    >>> coupon.first_month, coupon.last_month
    ('201803', '201904')
    """
    if purchase.yen < COUPON_YEN_MIN:
        values = {"coupon": purchase.coupon_id, "value": purchase.yen, "low": COUPON_YEN_MIN}
        raise InputError([Problem(code="VPG1703", values=values)])
    first = month_of(purchase.bought_on)
    return Coupon(
        coupon_id=purchase.coupon_id,
        operator_id=operator_id,
        balance_yen=purchase.yen,
        first_month=first,
        last_month=months_later(first, COUPON_MONTHS),
    )


def purchase_lines(
    purchases: tuple[CouponPurchase, ...], account: Account, policy: InvoicePolicy
) -> list[InvoiceLine]:
    """Return the coupons bought in the account's month: they are on its ordinary invoice.

    No coupon pays for a coupon. Tax on the purchase: A-42. Source: seed 0, 4.2.1.
    """
    return [
        make_line(
            account,
            "coupon_purchase",
            "coupon",
            unit="piece",
            unit_price_micro=coupon_of(one, account.operator_id).balance_yen * MINOR_MICRO["JPY"],
            tax_class=policy.coupon_purchase,
            source=SOURCE,
            note=one.coupon_id,
            day=one.bought_on,
        )
        for one in sorted(purchases, key=lambda one: (one.bought_on, one.coupon_id))
        if month_of(one.bought_on) == account.month
    ]


def use_coupons(
    coupons: Iterable[Coupon],
    *,
    month: str,
    allowed_yen: int,
    lines: Sequence[InvoiceLine],
    policy: InvoicePolicy,
) -> tuple[CouponUse, ...]:
    """Return what each coupon pays of the ``allowed_yen`` that coupons may pay of ``month``.

    A coupon pays from its first to its last month, never more than its balance, and one for a
    single bill item no more than that item's fee. Those that end first pay first (A-43). Source:
    seed 1, 18.9; seed 3, 17.3; seed 0, 4.2.1; validity and goods: provider's coupon page.

    >>> from vpg.billing.policy import InvoicePolicy
    >>> long, short = (
    ...     Coupon(coupon_id=last, operator_id="OP1", balance_yen=500, first_month="202601",
    ...            last_month=last)
    ...     for last in ("202701", "202604")
    ... )
    >>> used = use_coupons([long, short], month="202604", allowed_yen=700, lines=[],
    ...                    policy=InvoicePolicy())
    >>> [(one.coupon_id, one.used_yen, one.balance_after_yen) for one in used]
    [('202604', 500, 0), ('202701', 200, 300)]
    """
    valid = [one for one in coupons if one.first_month <= month <= one.last_month]
    if policy.coupon_order == "first_to_end":
        valid.sort(key=lambda one: (one.last_month, one.first_month, one.coupon_id))
    left = max(0, allowed_yen)
    item_left: dict[str, int] = {}
    uses = []
    for one in valid:
        most = min(left, one.balance_yen)
        if one.item:
            most = min(most, item_left.setdefault(one.item, _item_yen(lines, one.item)))
            item_left[one.item] -= most
        if most > 0:
            left -= most
            uses.append(
                CouponUse(
                    coupon_id=one.coupon_id,
                    used_yen=most,
                    balance_after_yen=one.balance_yen - most,
                )
            )
    return tuple(uses)


def _item_yen(lines: Iterable[InvoiceLine], item: str) -> int:
    """Return an item's fee of the month that coupons may pay, tax included, rounded up."""
    own = (line for line in lines if line.item == item and line.coupon_allowed)
    exact = sum(with_tax_micro_ppm(line) for line in own)
    return max(0, round_up(exact, MINOR_MICRO["JPY"] * PPM))
