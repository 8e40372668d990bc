"""One operator's month in one coverage: its sums, what is due, what coupons pay.

Owns: the order small month → coupons → postal fee. Does not own: lines, and the document that
sections make (``invoice``).

The postal fee comes after everything else is decided: it is owed only for an invoice that is issued
for other reasons, so it neither lifts a month over 50 yen nor is paid by a coupon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.billing.coupons import use_coupons
from vpg.billing.global_coverage import find_rate, to_yen
from vpg.billing.lines import CURRENCY_OF, thing_of
from vpg.billing.model import CarriedOver, Section
from vpg.billing.month_lines import coupons_of
from vpg.billing.rounding import sums, tax_groups
from vpg.billing.small_month import settle

if TYPE_CHECKING:
    from vpg.billing.inputs import OperatorMonth
    from vpg.billing.model import CouponUse, Coverage, FxRate, InvoiceLine
    from vpg.billing.policy import InvoicePolicy
    from vpg.billing.small_month import Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is settled before it is known whether an invoice is posted."""

    one: OperatorMonth
    coverage: Coverage
    month: str
    lines: tuple[InvoiceLine, ...]
    carried_in: tuple[CarriedOver, ...]
    settled: Settled
    uses: tuple[CouponUse, ...]
    own_minor: int
    """The month's own fee, tax included."""

    @property
    def asks(self) -> bool:
        """Return whether the section by itself asks for money."""
        return self.settled.due_minor > sum(use.used_yen for use in self.uses)


def decide(
    one: OperatorMonth,
    coverage: Coverage,
    month: str,
    *,
    lines: tuple[InvoiceLine, ...],
    tax_ppm: int,
    policy: InvoicePolicy,
) -> Decided:
    """Return what the lines of a coverage come to; coupons pay in the Japan coverage only.

    Source: provider's coupon page for the coverage; the rules as named in their modules.
    """
    currency = CURRENCY_OF[coverage]
    carried_in = tuple(part for part in one.carried_in if part.coverage == coverage)
    own = sums(lines, policy.rounding, currency)
    as_carried = CarriedOver(
        operator_id=one.operator.operator_id,
        coverage=coverage,
        currency=currency,
        month=month,
        tax_excluded_minor=own.tax_excluded_minor,
        tax_included_minor=own.tax_included_minor,
        coupon_barred_minor=own.coupon_barred_minor,
    )
    settled = settle(as_carried, carried_in, last=one.last, tax_ppm=tax_ppm, policy=policy)
    barred = sum(part.coupon_barred_minor for part in (*carried_in, as_carried))
    uses = use_coupons(
        coupons_of(one) if coverage == "JP" else (),
        month=month,
        allowed_yen=settled.due_minor - barred,
        lines=lines,
        policy=policy,
    )
    return Decided(
        one=one,
        coverage=coverage,
        month=month,
        lines=lines,
        carried_in=carried_in,
        settled=settled,
        uses=uses,
        own_minor=own.tax_included_minor,
    )


def build(decided: Decided, policy: InvoicePolicy, postal: InvoiceLine | None = None) -> Section:
    """Return the section, with the fee of a posted invoice where it bears that."""
    currency = CURRENCY_OF[decided.coverage]
    lines = decided.lines if postal is None else (*decided.lines, postal)
    total = sums(lines, policy.rounding, currency)
    settled = decided.settled
    due = settled.due_minor + total.tax_included_minor - decided.own_minor
    fx = _rate(decided, policy) if currency == "USD" else None
    due_yen = to_yen(due, fx)
    used = sum(use.used_yen for use in decided.uses)
    payable = due_yen - used
    unpriced = {(thing_of(line), line.item) for line in lines if line.amount_micro is None}
    reason = settled.not_issued or "paid_by_coupon"
    return Section(
        operator=decided.one.operator,
        coverage=decided.coverage,
        currency=currency,
        month=decided.month,
        lines=lines,
        tax_groups=tax_groups(lines),
        tax_excluded_micro=total.tax_excluded_micro,
        tax_excluded_minor=total.tax_excluded_minor,
        tax_minor=total.tax_minor,
        tax_included_minor=total.tax_included_minor,
        raised_minor=settled.raised_minor,
        carried_in=decided.carried_in,
        carried_out=settled.carried_out,
        due_minor=due,
        fx=fx,
        due_yen=due_yen,
        coupons=decided.uses,
        coupon_yen=used,
        payable_yen=payable,
        not_issued="" if payable else reason,
        complete=not unpriced,
        unpriced=tuple(sorted(unpriced)),
    )


def _rate(decided: Decided, policy: InvoicePolicy) -> FxRate | None:
    """Return the rate of a Global section; one without any amount needs none.

    Amounts that cancel each other need it too: each is shown in yen.
    """
    if not decided.carried_in and not any(line.amount_micro for line in decided.lines):
        return None
    return find_rate(decided.one.fx, decided.month, policy.invoice_rate)
