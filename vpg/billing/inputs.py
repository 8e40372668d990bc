"""What an invoice is computed from: one payer, one rating month, every operator on it.

Owns: the facts of a month as values, and the check that they belong together. Does not own: how
they become lines (``month_lines``). Times and money as in ``model``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpg.billing.calendar import BusinessCalendar, month_begin, month_bounds_us
from vpg.billing.lines import CURRENCY_OF
from vpg.billing.policy import InvoicePolicy
from vpg.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vpg.billing.coupons import CouponPurchase
    from vpg.billing.discount import LongTermDiscount
    from vpg.billing.flux import FluxPlan, FluxUse
    from vpg.billing.goods import Goods
    from vpg.billing.interest import LatePayment
    from vpg.billing.model import (
        CarriedOver,
        Coupon,
        Coverage,
        FxRate,
        InvoiceLine,
        Operator,
        PaymentMethod,
    )
    from vpg.billing.outage import Outage
    from vpg.billing.support_plan import SlaClaim, SupportContract
    from vpg.rating.charges import ChargeRow
    from vpg.rating.late import Correction


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxPart:
    """A month of Flux in one coverage; quotas count in each by themselves."""

    coverage: Coverage
    use: FluxUse
    table: Mapping[str, FluxPlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorMonth:
    """Everything that one operator's month owes or is owed."""

    operator: Operator
    charges: Sequence[ChargeRow] = ()
    """Hourly charges, Japan coverage; rows of other months are left out."""
    corrections: Sequence[Correction] = ()
    """Late and corrected usage of earlier months, Japan coverage (``corrections``)."""
    lines: tuple[InvoiceLine, ...] = ()
    """Further lines of either coverage: per request or line, Global usage, corrections, others."""
    goods: tuple[Goods, ...] = ()
    discounts: tuple[LongTermDiscount, ...] = ()
    base_fee_sims: int = 0
    """Basic fees of SIMs that are on the bill and that a quota may take the place of."""
    coupon_purchases: tuple[CouponPurchase, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    """With the balances before this month; those bought this month come from the purchases."""
    outages: tuple[Outage, ...] = ()
    late_payments: tuple[LatePayment, ...] = ()
    flux: tuple[FluxPart, ...] = ()
    support: SupportContract | None = None
    sla_claims: tuple[SlaClaim, ...] = ()
    service_credit_yen: int = 0
    fx: tuple[FxRate, ...] = ()
    carried_in: tuple[CarriedOver, ...] = ()
    last: bool = False
    """Every line and service is cancelled with this month: nothing can be carried on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthInputs:
    """One payer's rating month."""

    month: str
    payer: Operator
    """Whose invoice the others are joined to (seed 0, 3.4.3); one of ``operators``."""
    method: PaymentMethod
    operators: tuple[OperatorMonth, ...]
    coverages_apart: bool = False
    """An invoice for each coverage instead of one for both (seed 0, 3.7.1); by card it is always
    so."""
    calendar: BusinessCalendar = field(default_factory=BusinessCalendar)
    policy: InvoicePolicy = field(default_factory=InvoicePolicy)


def check(inputs: MonthInputs) -> None:
    """Raise ``InputError`` with everything in ``inputs`` that does not belong together."""
    month_begin(inputs.month)
    problems = list(_problems(inputs))
    if problems:
        raise InputError(problems)


def _problems(inputs: MonthInputs) -> Iterator[Problem]:
    ids = [one.operator.operator_id for one in inputs.operators]
    if inputs.payer.operator_id not in ids:
        yield _problem("VPG1709", "payer", operator=inputs.payer.operator_id)
    for place, one in enumerate(inputs.operators):
        path = f"operators[{place}]"
        name = one.operator.operator_id
        if name in ids[:place]:
            yield _problem("VPG1710", path, operator=name)
        if one.operator.account == "individual" and inputs.method != "card":
            yield _problem("VPG1708", path, operator=name, method=inputs.method)
        for where, item in _strangers(one, inputs.month):
            here = f"{path}.{where}"
            yield _problem("VPG1711", here, item=item, operator=name, month=inputs.month)


def _strangers(one: OperatorMonth, month: str) -> Iterator[tuple[str, str]]:
    """Yield (place, name) of what is not this operator's or not of a fitting month."""
    name = one.operator.operator_id
    for number, line in enumerate(one.lines):
        if not _line_belongs(line, name, month):
            yield f"lines[{number}]", line.item
    begin_us, _ = month_bounds_us(month)
    for number, late in enumerate(one.corrections):
        if late.month_us >= begin_us:
            yield f"corrections[{number}]", late.charge.bill_item
    for number, carried in enumerate(one.carried_in):
        owner = (carried.operator_id, carried.currency)
        if owner != (name, CURRENCY_OF[carried.coverage]) or carried.month >= month:
            yield f"carried_in[{number}]", carried.month
    for number, coupon in enumerate(one.coupons):
        if coupon.operator_id != name or coupon.balance_yen < 0:
            yield f"coupons[{number}]", coupon.coupon_id


def _line_belongs(line: InvoiceLine, operator_id: str, month: str) -> bool:
    """Return whether a line is the operator's, in its coverage's currency, of a fitting month."""
    if line.operator_id != operator_id or line.currency != CURRENCY_OF[line.coverage]:
        return False
    return line.month < month if line.kind == "correction" else line.month == month


def _problem(code: str, path: str, **values: object) -> Problem:
    return Problem(code=code, path=path, values=values)
