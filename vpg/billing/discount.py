"""The long-term discount on the basic fee of SIMs, paid monthly or at once.

Owns: how many basic fees a bought quota takes the place of. Does not own: the basic fees (lines of
their own), the discounted price (a user value: the pages show it as of their day). A quota is not
tied to any SIM. Source: seed 0, 7.4 (exists, for plan-D and plan-K); provider's pages on the
long-term discount (quota of SIMs and months, owed whether used or not); lump sum: seed 2, table 1,
note, and the provider's announcement of 2017-05-23.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vpg.billing.calendar import months_later
from vpg.billing.lines import Account, make_line

if TYPE_CHECKING:
    from vpg.billing.model import InvoiceLine

SOURCE = "Billing guide (March 2021), 7.4; provider's page on the long-term discount"


@dataclass(frozen=True, slots=True, kw_only=True)
class LongTermDiscount:
    """A quota: this many SIMs for this many months."""

    discount_id: str
    sims: int
    first_month: str
    months: int = 12
    payment: Literal["monthly", "lump_sum"] = "monthly"
    price_micro: int
    """Per SIM: for a month, or for the whole term when paid at once; micro-yen, tax excluded."""
    base_fee_micro: int
    """The ordinary basic fee that it takes the place of, per SIM and month."""


def covers(discount: LongTermDiscount, month: str) -> bool:
    """Return whether ``month`` lies in the term.

    >>> quota = LongTermDiscount(discount_id="d", sims=5, first_month="202604",
    ...                          price_micro=275_000_000, base_fee_micro=300_000_000)
    >>> [covers(quota, month) for month in ("202603", "202604", "202703", "202704")]
    [False, True, True, False]
    """
    return discount.first_month <= month < months_later(discount.first_month, discount.months)


def replaced_sims(discounts: tuple[LongTermDiscount, ...], month: str, sims: int) -> list[int]:
    """Return how many of ``sims`` basic fees each quota takes the place of, in the given order.

    Never more than there are: an unused part of a quota is owed all the same.

    >>> quota = LongTermDiscount(discount_id="d", sims=5, first_month="202604",
    ...                          price_micro=275_000_000, base_fee_micro=300_000_000)
    >>> [replaced_sims((quota,), "202604", sims) for sims in (8, 5, 2)]
    [[5], [5], [2]]
    """
    left = sims
    replaced = []
    for one in discounts:
        taken = min(one.sims, left) if covers(one, month) else 0
        replaced.append(taken)
        left -= taken
    return replaced


def discount_lines(
    discounts: tuple[LongTermDiscount, ...], account: Account, sims: int
) -> list[InvoiceLine]:
    """Return what the quotas cost in the account's month, and the basic fees they replace.

    ``sims`` basic fees are on the bill. A quota paid monthly is a line each month of its term; one
    paid at once is a single line in its first month, which the support base leaves out (seed 2,
    table 1, note).
    """
    month = account.month
    lines = []
    for one, replaced in zip(discounts, replaced_sims(discounts, month, sims), strict=True):
        monthly = one.payment == "monthly"
        if covers(one, month) if monthly else month == one.first_month:
            lines.append(
                make_line(
                    account,
                    "long_term" if monthly else "lump_sum",
                    "long_term_discount",
                    unit="month" if monthly else "time",
                    unit_price_micro=one.price_micro,
                    quantity=one.sims,
                    source=SOURCE,
                    note=one.discount_id,
                )
            )
        if replaced:
            lines.append(
                make_line(
                    account,
                    "discount",
                    "long_term_base_fee",
                    unit="month",
                    unit_price_micro=-one.base_fee_micro,
                    quantity=replaced,
                    source=SOURCE,
                    note=one.discount_id,
                )
            )
    return lines
