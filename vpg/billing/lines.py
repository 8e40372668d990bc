"""Lines of an invoice: how one is made, and the lines of what was used.

Owns: the arithmetic inside a line, which line kinds a coupon may pay and the support fee counts.
Does not own: the rules that make credits, fees and discounts, sums and rounding (``rounding``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.billing.calendar import month_bounds_us
from vpg.billing.model import InvoiceLine
from vpg.billing.money import round_up
from vpg.catalogue.items import LINE_ITEMS, ONE_OFF_ITEMS, PPM, REQUEST_ITEMS
from vpg.timebase import DAY_US, to_utc

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from vpg.billing.model import Coverage, Currency, LineKind, TaxClass
    from vpg.billing.policy import InvoicePolicy
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargeRow

COUPON_BARRED: frozenset[LineKind] = frozenset(
    {"goods", "coupon_purchase", "postal", "late_interest", "damages"}
)
"""No coupon pays these: goods by name (provider's coupon page), and what is no service fee (seed 1,
18.9(1))."""
SUPPORT_BARRED: frozenset[LineKind] = frozenset(
    {
        "goods",
        "support",
        "sla_refund",
        "coupon_purchase",
        "lump_sum",
        "postal",
        "late_interest",
        "damages",
        "other",
    }
)
"""Outside the bill for platform services that the support fee is 5 % of (seed 2, 1.3 and table 1,
note): coupons and lump sums by name, the rest is no platform service. Goods: see A-45."""
MINOR_MICRO: dict[Currency, int] = {"JPY": 1_000_000, "USD": 10_000}
"""Millionths in the smallest amount charged: 1 yen (seed 1, general rule 5), 0.01 USD (Global
service agreement)."""
CURRENCY_OF: dict[Coverage, Currency] = {"JP": "JPY", "GL": "USD"}
"""Seed 0, 3.7.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose line of which month it is, and the tax of that month."""

    operator_id: str
    month: str
    tax_ppm: int
    """Consumption tax in force at the month's first instant (A-33)."""
    coverage: Coverage = "JP"
    taxed: bool = True
    """False where the coverage carries no consumption tax (A-40)."""

    @property
    def currency(self) -> Currency:
        """Return the currency that the coverage is charged in."""
        return CURRENCY_OF[self.coverage]


def account_of(
    catalogue: Catalogue,
    policy: InvoicePolicy,
    *,
    operator_id: str,
    month: str,
    coverage: Coverage = "JP",
) -> Account:
    """Return the account with the tax of ``month``; raises ``InputError`` where none is known.

    The rate is that of the month's first instant, the 1st 09:00 JST (A-33): a rate that changes at
    00:00 of that day holds for the whole month. Global: see A-40.
    """
    return Account(
        operator_id=operator_id,
        month=month,
        tax_ppm=catalogue.tax_ppm(month_bounds_us(month)[0]),
        coverage=coverage,
        taxed=coverage == "JP" or policy.global_tax == "taxed",
    )


def make_line(
    account: Account,
    kind: LineKind,
    item: str,
    *,
    unit: str,
    unit_price_micro: int | None,
    quantity: int = 1,
    tax_class: TaxClass = "taxed",
    source: str = "",
    note: str = "",
    vpg_id: str = "",
    imsi: str = "",
    device_id: str = "",
    day: dt.date | None = None,
) -> InvoiceLine:
    """Return a line whose amount, tax rate and flags follow from the rest."""
    if tax_class == "taxed" and not account.taxed:
        tax_class = "untaxed"
    return InvoiceLine(
        operator_id=account.operator_id,
        coverage=account.coverage,
        currency=account.currency,
        kind=kind,
        item=item,
        month=account.month,
        day=day,
        vpg_id=vpg_id,
        imsi=imsi,
        device_id=device_id,
        quantity=quantity,
        unit=unit,
        unit_price_micro=unit_price_micro,
        amount_micro=None if unit_price_micro is None else unit_price_micro * quantity,
        tax_class=tax_class,
        tax_ppm=account.tax_ppm if tax_class == "taxed" else 0,
        coupon_allowed=kind not in COUPON_BARRED,
        support_base=kind not in SUPPORT_BARRED,
        source=source,
        note=note,
    )


def usage_lines(
    charges: Iterable[ChargeRow], account: Account, *, by_day: bool = False
) -> list[InvoiceLine]:
    """Return the hourly charges of the account's month: one line per VPG, item and price.

    ``by_day`` makes one of each billing day (UTC day), which the reading ``per_day`` of A-15 and
    the provider's CSV need. Rows of other months are left out. Source: seed 1, price table, general
    rules 1 and 3.

    >>> from vpg.rating.charges import ChargeRow
    >>> row = ChargeRow(vpg_id="v", hour_start_us=0, bill_item="vpg_c_small", quantity=2,
    ...                 unit_price_micro_yen=50_000_000, amount_micro_yen=100_000_000)
    >>> account = Account(operator_id="OP1", month="197001", tax_ppm=0)
    >>> [(line.item, line.quantity, line.amount_micro) for line in usage_lines([row], account)]
    [('vpg_c_small', 2, 100000000)]
    """
    begin_us, end_us = month_bounds_us(account.month)
    quantities: dict[tuple[str, int, str, int | None], int] = {}
    for row in charges:
        hour = row.hour_start_us
        if begin_us <= hour < end_us:
            day = hour // DAY_US if by_day else 0
            key = (row.vpg_id, day, row.bill_item, row.unit_price_micro_yen)
            quantities[key] = quantities.get(key, 0) + row.quantity
    ordered = sorted(quantities, key=lambda k: (k[0], k[1], k[2], k[3] is None, k[3] or 0))
    return [
        make_line(
            account,
            "usage",
            item,
            unit=unit_of(item),
            unit_price_micro=price,
            quantity=quantities[vpg_id, day, item, price],
            vpg_id=vpg_id,
            day=to_utc(day * DAY_US).date() if by_day else None,
        )
        for vpg_id, day, item, price in ordered
    ]


def unit_of(bill_item: str) -> str:
    """Return what one unit of a charged item is; steps of a price count as their item does.

    >>> unit_of("beam_requests_tier2"), unit_of("contract_fee_c"), unit_of("vpg_c_small")
    ('request', 'time', 'hour')
    """
    if bill_item in ONE_OFF_ITEMS:
        return "time"
    if bill_item.startswith(REQUEST_ITEMS):
        return "request"
    return "line" if bill_item.startswith(LINE_ITEMS) else "hour"


def displayed_minor(line: InvoiceLine) -> int | None:
    """Return a line with its tax, rounded up by itself: a figure to show, never to add.

    The sum of such figures may differ from what is to pay, and the invoice says so. Source: seed 1,
    price table, note to general rule 2; provider's support page 360050017712.

    >>> account = Account(operator_id="OP1", month="202604", tax_ppm=100_000)
    >>> line = make_line(account, "usage", "fixed_ip", unit="hour", unit_price_micro=15_000_000)
    >>> displayed_minor(line)
    17
    """
    if line.amount_micro is None:
        return None
    return round_up(line.amount_micro * (PPM + line.tax_ppm), MINOR_MICRO[line.currency] * PPM)


def thing_of(line: InvoiceLine) -> str:
    """Return what a line is about: VPG, SIM, device, or empty for the account."""
    return line.vpg_id or line.imsi or line.device_id
