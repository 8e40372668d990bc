"""Late and corrected usage as lines of an invoice.

Owns: the lines of corrections, and the calendar's part of them. Does not own: what is late
(``vpg.rating.late``), or the invoice, which is never changed once it is issued.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from vpg.billing.calendar import invoice_dates, month_bounds_us
from vpg.billing.lines import account_of, usage_lines
from vpg.rating.charges import rate_hours
from vpg.rating.late import month_figures
from vpg.timebase import month_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpg.billing.calendar import BusinessCalendar
    from vpg.billing.model import InvoiceLine
    from vpg.billing.policy import InvoicePolicy
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargePolicy, ChargeRow
    from vpg.rating.hourly import HourlyRow
    from vpg.rating.late import Arrival, Correction, MonthFigures


def figures_of_month(
    arrivals: Sequence[Arrival],
    *,
    month: str,
    at_us: int,
    catalogue: Catalogue,
    policy: ChargePolicy,
    calendar: BusinessCalendar,
) -> MonthFigures:
    """Return what is charged with the rating month ``yyyyMM``, as known at ``at_us``.

    Figures are final at the end of the second business day of the next month (seed 0, 4.3).
    """

    def rate(rows: Sequence[HourlyRow]) -> list[ChargeRow]:
        return rate_hours(rows, catalogue, policy)

    @functools.cache
    def final_us(month_us: int) -> int:
        return invoice_dates(month_name(month_us), calendar).figures_final_us

    begin_us = month_bounds_us(month)[0]
    return month_figures(arrivals, month_us=begin_us, at_us=at_us, final_us=final_us, rate=rate)


def correction_lines(
    corrections: Iterable[Correction],
    *,
    operator_id: str,
    catalogue: Catalogue,
    policy: InvoicePolicy,
) -> list[InvoiceLine]:
    """Return the lines that correct earlier months, each with the tax of the month it corrects.

    One line per VPG, item and price (and billing day, where days are rounded). What had no price
    was never charged, so nothing of it is taken back.
    """
    lines: list[InvoiceLine] = []
    ordered = sorted(corrections, key=lambda one: one.month_us)
    for month_us, group in itertools.groupby(ordered, key=lambda one: one.month_us):
        account = account_of(catalogue, policy, operator_id=operator_id, month=month_name(month_us))
        rows = [one.charge for one in group]
        lines += [
            replace(line, kind="correction")
            for line in usage_lines(rows, account, by_day=policy.rounding == "per_day")
            if line.quantity > 0 or (line.quantity < 0 and line.amount_micro is not None)
        ]
    return lines
