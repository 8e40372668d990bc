"""Months, lines and operators that the tests of invoices share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vpg.billing.inputs import MonthInputs, OperatorMonth
from vpg.billing.invoice import invoice
from vpg.billing.lines import Account, make_line
from vpg.billing.model import CarriedOver, Coupon, FxRate, Operator
from vpg.billing.policy import InvoicePolicy
from vpg.catalogue.load import load_catalogue

if TYPE_CHECKING:
    from vpg.billing.model import Coverage, Invoice, InvoiceLine

CATALOGUE = load_catalogue()
MONTH = "202604"
YEN = 1_000_000
CENT = 10_000
OPERATOR = Operator(operator_id="OP0000000001")
OTHER = Operator(operator_id="OP0000000002")
POLICY = InvoicePolicy()


def account(coverage: Coverage = "JP", operator: Operator = OPERATOR, **changes: Any) -> Account:
    """Return an account of April 2026: 10 % in Japan, no tax abroad."""
    fields: dict[str, Any] = {
        "operator_id": operator.operator_id,
        "month": MONTH,
        "tax_ppm": 100_000,
        "coverage": coverage,
        "taxed": coverage == "JP",
    }
    return Account(**(fields | changes))


def fee(
    micro: int | None, coverage: Coverage = "JP", operator: Operator = OPERATOR, **more: Any
) -> InvoiceLine:
    """Return one use at ``micro`` (micro-yen or micro-dollar)."""
    fields: dict[str, Any] = {"kind": "usage", "item": "fixed_ip", "unit": "hour"} | more
    kind, item = fields.pop("kind"), fields.pop("item")
    return make_line(account(coverage, operator), kind, item, unit_price_micro=micro, **fields)


def owes(*micro: int, **more: Any) -> OperatorMonth:
    """Return an operator's April 2026 with a fee of each amount in micro-yen."""
    lines = tuple(fee(one) for one in micro) + more.pop("lines", ())
    return OperatorMonth(operator=more.pop("operator", OPERATOR), lines=lines, **more)


def month_of(*operators: OperatorMonth, **more: Any) -> MonthInputs:
    """Return the inputs of April 2026; the first operator pays, by e-mailed invoice."""
    fields: dict[str, Any] = {
        "month": MONTH,
        "payer": operators[0].operator,
        "method": "invoice_email",
        "operators": operators,
    }
    return MonthInputs(**(fields | more))


def billed(*operators: OperatorMonth, **more: Any) -> Invoice:
    """Return the one invoice of April 2026."""
    return invoice(month_of(*operators, **more), CATALOGUE)


def policy(**choices: Any) -> InvoicePolicy:
    """Return the default readings with ``choices`` in their place."""
    return InvoicePolicy(**choices)


def carried(minor: int, month: str = "202603", coverage: Coverage = "JP", **more: Any) -> Any:
    """Return a small month of before, without tax in it."""
    return CarriedOver(
        operator_id=OPERATOR.operator_id,
        coverage=coverage,
        currency="JPY" if coverage == "JP" else "USD",
        month=month,
        tax_excluded_minor=minor,
        tax_included_minor=minor,
        **more,
    )


def coupon(yen: int, name: str = "c", **more: Any) -> Coupon:
    """Return a coupon that is valid in April 2026."""
    fields: dict[str, Any] = {
        "operator_id": OPERATOR.operator_id,
        "first_month": "202601",
        "last_month": "202702",
    }
    return Coupon(coupon_id=name, balance_yen=yen, **(fields | more))


def rates(tts: int = 150 * YEN, ttl: int = 151 * YEN) -> tuple[FxRate, FxRate]:
    """Return both averages of April 2026."""
    return (
        FxRate(month=MONTH, label="TTS", micro_yen_per_usd=tts),
        FxRate(month=MONTH, label="TTL", micro_yen_per_usd=ttl),
    )
