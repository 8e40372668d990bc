"""Months too small for an invoice: carried over, and raised when nothing follows.

Owns: the 50 yen and 0.5 USD rule (seed 1, price table, general rule 8; Global service agreement).
Does not own: sums and rounding of the month. Money: minor units (yen, cents).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.billing.model import carried_minor
from vpg.billing.money import round_up
from vpg.catalogue.items import PPM

if TYPE_CHECKING:
    from vpg.billing.model import CarriedOver, Currency, NotIssued
    from vpg.billing.policy import InvoicePolicy

SMALL_MINOR: dict[Currency, int] = {"JPY": 50, "USD": 50}
"""50 yen (seed 1, price table, general rule 8); 0.5 USD (Global service agreement)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a month asks for now; ``due = month + carried in + raised``, or 0 and all is carried."""

    raised_minor: int
    due_minor: int
    carried_out: tuple[CarriedOver, ...]
    not_issued: NotIssued


def settle(
    month: CarriedOver,
    carried_in: tuple[CarriedOver, ...],
    *,
    last: bool,
    tax_ppm: int,
    policy: InvoicePolicy,
) -> Settled:
    """Return what is due of ``month`` (as it would be carried over) and of earlier small months.

    * Nothing to pay: no invoice (seed 0, 3.4.1). Credits beyond the fees wait for later fees.
    * Below 50 yen: carried over, and billed together with later months (seed 1, general rule 8).
      When, is A-36; what is compared, A-38.
    * ``last`` (every line and service cancelled): nothing can follow, so it is raised to 50 yen
      (same rule); of what, is A-37.

    >>> from vpg.billing.model import CarriedOver
    >>> from vpg.billing.policy import InvoicePolicy
    >>> def month(yen):
    ...     return CarriedOver(operator_id="OP1", coverage="JP", currency="JPY", month="202604",
    ...                        tax_excluded_minor=yen, tax_included_minor=yen)
    >>> def due(yen, *before, last=False):
    ...     return settle(month(yen), tuple(map(month, before)), last=last, tax_ppm=0,
    ...                   policy=InvoicePolicy()).due_minor
    >>> due(49), due(50), due(20, 30), due(20, last=True), due(0, last=True)
    (0, 50, 50, 50, 0)
    """
    total = month.tax_included_minor + carried_minor(carried_in)
    waiting = (*carried_in, month) if month.tax_included_minor else carried_in
    if total < 0:
        return Settled(raised_minor=0, due_minor=0, carried_out=waiting, not_issued="credit")
    if not total:
        return Settled(raised_minor=0, due_minor=0, carried_out=(), not_issued="zero")
    if last:
        raised = _raised(month, carried_in, tax_ppm=tax_ppm, policy=policy)
        return Settled(raised_minor=raised, due_minor=total + raised, carried_out=(), not_issued="")
    compared = _compared(month, policy)
    if policy.small_month == "until_sum":
        compared += sum(_compared(one, policy) for one in carried_in)
    if policy.small_month != "bill" and compared < SMALL_MINOR[month.currency]:
        return Settled(raised_minor=0, due_minor=0, carried_out=waiting, not_issued="small_month")
    return Settled(raised_minor=0, due_minor=total, carried_out=(), not_issued="")


def _compared(month: CarriedOver, policy: InvoicePolicy) -> int:
    if policy.small_month_compares == "tax_included":
        return month.tax_included_minor
    return month.tax_excluded_minor


def _raised(
    month: CarriedOver,
    carried_in: tuple[CarriedOver, ...],
    *,
    tax_ppm: int,
    policy: InvoicePolicy,
) -> int:
    """Return what lifts a last month's fee, or the whole sum, to 50 yen (A-37, A-38).

    Only what is below 50 is raised: compared without tax, 50 yen that carry none are enough.
    """
    if policy.last_small_month == "as_is":
        return 0
    parts = (month, *carried_in) if policy.last_small_month == "raise_sum" else (month,)
    target = SMALL_MINOR[month.currency]
    if not 0 < sum(_compared(part, policy) for part in parts) < target:
        return 0
    if policy.small_month_compares == "tax_excluded":
        target = round_up(target * (PPM + tax_ppm), PPM)
    return max(0, target - carried_minor(parts))
