"""Goods: SIM cards and devices, charged when they leave.

Owns: which month goods belong to. Does not own: their prices, shipping fees (lines of their own,
usually tax included). Times: the day of dispatch in JST; goods go by the calendar month.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vpg.billing.calendar import month_of
from vpg.billing.lines import Account, make_line
from vpg.catalogue.model import day_start_us

if TYPE_CHECKING:
    import datetime as dt

    from vpg.billing.model import InvoiceLine, TaxClass
    from vpg.catalogue.model import Catalogue

SOURCE = "Billing guide (March 2021), 4.1.1, 4.1.2 and 5.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """One position of one dispatch, in the currency of the account's coverage."""

    item: str
    quantity: int
    unit_price_micro: int
    dispatched_on: dt.date
    """Day of the payment just before dispatch, not of the order (seed 0, 5.3)."""
    tax_class: TaxClass = "taxed"


def goods_lines(
    goods: tuple[Goods, ...], account: Account, catalogue: Catalogue
) -> list[InvoiceLine]:
    """Return a line for each position dispatched in the account's month, in order of dispatch.

    An order is billed with the services of the month in which it is dispatched, whenever it was
    made; the tax rate is that of the day. Source: seed 0, 5.3 and 4.1.2.

    >>> import datetime as dt
    >>> from vpg.catalogue.load import load_catalogue
    >>> sim = Goods(item="sim", quantity=3, unit_price_micro=820_000_000,
    ...             dispatched_on=dt.date(2026, 5, 1))
    >>> may = Account(operator_id="OP1", month="202605", tax_ppm=100_000)
    >>> [line.amount_micro for line in goods_lines((sim,), may, load_catalogue())]
    [2460000000]
    """
    return [
        make_line(
            replace(account, tax_ppm=catalogue.tax_ppm(day_start_us(one.dispatched_on))),
            "goods",
            one.item,
            unit="piece",
            unit_price_micro=one.unit_price_micro,
            quantity=one.quantity,
            tax_class=one.tax_class,
            source=SOURCE,
            day=one.dispatched_on,
        )
        for one in sorted(goods, key=lambda one: one.dispatched_on)
        if month_of(one.dispatched_on) == account.month
    ]
