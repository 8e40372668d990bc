"""Interest on what was paid late.

Owns: days, rate and rounding of late interest. Does not own: what is due when (``calendar``).
Times: days in JST. Money: whole yen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.billing.lines import MINOR_MICRO, Account, make_line
from vpg.billing.money import round_up

if TYPE_CHECKING:
    import datetime as dt

    from vpg.billing.model import InvoiceLine

RATE_PER_MILLE_A_YEAR = 145
"""14.5 % a year (seed 1, 12.4; seed 2, 10.4; seed 3, 12.3)."""
PER_MILLE_YEAR_DAYS = 1_000 * 365
"""Actual days over 365, in a leap year too."""
SOURCE = "Terms of the private-network (VPG) services, 12.4; support terms, 10.4; Flux terms, 12.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePayment:
    """A debt, or the part of it paid on one day, after its due date."""

    invoice_id: str
    principal_yen: int
    """Tax included, without interest billed before: interest bears none."""
    due_on: dt.date
    paid_on: dt.date


def late_days(due_on: dt.date, paid_on: dt.date) -> int:
    """Return the days from the day after the due date to the day before payment, both counted.

    Source: seed 1, 12.4; seed 2, 10.4; seed 3, 12.3.

    >>> import datetime as dt
    >>> day = dt.date(2026, 6, 30)
    >>> [late_days(day, day + dt.timedelta(days=n)) for n in (0, 1, 2, 366)]
    [0, 0, 1, 365]
    """
    return max(0, (paid_on - due_on).days - 1)


def late_interest_yen(principal_yen: int, days: int) -> int:
    """Return 14.5 % a year of the principal for ``days``, rounded up to a yen.

    Source: seed 1, 12.4 and price table, general rule 5.

    >>> late_interest_yen(100_000, 365), late_interest_yen(100_000, 1), late_interest_yen(1, 0)
    (14500, 40, 0)
    """
    return round_up(principal_yen * RATE_PER_MILLE_A_YEAR * days, PER_MILLE_YEAR_DAYS)


def interest_lines(late: tuple[LatePayment, ...], account: Account) -> list[InvoiceLine]:
    """Return a line for each debt that bears interest; interest carries no consumption tax."""
    lines = []
    for one in late:
        days = late_days(one.due_on, one.paid_on)
        yen = late_interest_yen(one.principal_yen, days)
        if yen > 0:
            note = f"{one.invoice_id}: {one.principal_yen} yen, {days} days"
            lines.append(
                make_line(
                    account,
                    "late_interest",
                    "late_interest",
                    unit="time",
                    unit_price_micro=yen * MINOR_MICRO["JPY"],
                    tax_class="untaxed",
                    source=SOURCE,
                    note=note,
                )
            )
    return lines
