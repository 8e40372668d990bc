"""The support plan's fee, its SLA refund and service credits.

Owns: seed 2 (support terms), 6.1, 10.6 and price table. Does not own: response times, sums of the
bill it is a share of. Times: the contract counts by days in JST; the 1st of a month belongs to the
month it names. Money: whole yen, tax excluded; tax comes on top (seed 2, 10.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vpg.billing.calendar import month_begin, month_last_day, month_of, months_later
from vpg.billing.lines import MINOR_MICRO, Account, make_line
from vpg.billing.money import round_up

if TYPE_CHECKING:
    import datetime as dt

    from vpg.billing.model import InvoiceLine

PRIORITY_YEN_MIN = 9_800
PRIORITY_PERCENT = 5
PERCENT = 100
CLAIM_MONTHS = 3
SOURCE = "Support terms, price table, general rules and table 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportContract:
    """A paid support plan, from its first to its last day."""

    plan: Literal["basic", "priority", "enterprise"]
    first_on: dt.date
    """Day of effect (seed 2, 3.3)."""
    last_on: dt.date | None = None
    """``cancelled_last_day`` of the notice, or ``None`` while it runs."""
    quote_yen: int = 0
    """Monthly fee of Enterprise: individually quoted (seed 2, table 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaClaim:
    """A refund claimed for an answer that came too late."""

    violated_on: dt.date
    claimed_on: dt.date
    asked_yen: int
    month_fee_yen: int
    """Support fee of the month of the violation, tax excluded: the cap."""
    as_service_credit: bool = False
    """The provider chooses between money and a credit for later support fees (10.6(2))."""


def cancelled_last_day(notice_on: dt.date) -> dt.date:
    """Return the contract's last day: the end of the month in which the notice arrives.

    Source: seed 2, 6.1(1).

    >>> import datetime as dt
    >>> str(cancelled_last_day(dt.date(2026, 4, 1)))
    '2026-04-30'
    """
    return month_last_day(month_of(notice_on))


def is_owed(contract: SupportContract, month: str) -> bool:
    """Return whether ``month`` owes the fee: whole, however few days of it the contract has.

    Source: seed 2, price table, general rule 2 (nothing is taken off by the day).

    >>> import datetime as dt
    >>> contract = SupportContract(plan="priority", first_on=dt.date(2026, 4, 30))
    >>> [is_owed(contract, month) for month in ("202603", "202604", "202605")]
    [False, True, True]
    """
    if contract.plan == "basic" or contract.first_on > month_last_day(month):
        return False
    return contract.last_on is None or contract.last_on >= month_begin(month)


def priority_fee_yen(platform_yen: int) -> int:
    """Return the higher of 9,800 yen and 5 % of the month's platform bill, rounded up.

    Source: seed 2, price table 1, and general rule 4 for the rounding.

    >>> [priority_fee_yen(yen) for yen in (0, 196_000, 196_001)]
    [9800, 9800, 9801]
    """
    return max(PRIORITY_YEN_MIN, round_up(platform_yen * PRIORITY_PERCENT, PERCENT))


def support_lines(
    contract: SupportContract, account: Account, platform_yen: int
) -> list[InvoiceLine]:
    """Return the fee of the account's month; ``platform_yen`` is the bill it is 5 % of."""
    if not is_owed(contract, account.month):
        return []
    yen = contract.quote_yen if contract.plan == "enterprise" else priority_fee_yen(platform_yen)
    return [
        make_line(
            account,
            "support",
            f"support_{contract.plan}",
            unit="month",
            unit_price_micro=yen * MINOR_MICRO["JPY"],
            source=SOURCE,
            note=f"platform bill {platform_yen} yen" if contract.plan == "priority" else "",
        )
    ]


def sla_claim_last_day(violated_on: dt.date) -> dt.date:
    """Return the last day to claim: within three months of the end of the violation's month.

    Source: seed 2, 10.6(1).

    >>> import datetime as dt
    >>> str(sla_claim_last_day(dt.date(2025, 11, 3)))
    '2026-02-28'
    """
    return month_last_day(months_later(month_of(violated_on), CLAIM_MONTHS))


def sla_refund_yen(claim: SlaClaim, refunded_yen: int = 0) -> int:
    """Return what is refunded: what was asked in time, up to the month's support fee.

    ``refunded_yen``: what other claims of the same month took of its fee already; money and credit
    together never exceed it. That is the whole liability for late answers. Source: seed 2, 10.6(1),
    (3) and (4).

    >>> import datetime as dt
    >>> day = dt.date(2026, 4, 10)
    >>> sla_refund_yen(SlaClaim(violated_on=day, claimed_on=day, asked_yen=20_000,
    ...                         month_fee_yen=9_800))
    9800
    """
    if claim.claimed_on > sla_claim_last_day(claim.violated_on):
        return 0
    return max(0, min(claim.asked_yen, claim.month_fee_yen - refunded_yen))


def refund_lines(
    claims: tuple[SlaClaim, ...], service_credit_yen: int, account: Account, fee_yen: int
) -> list[InvoiceLine]:
    """Return refunds in money, and service credit used on this month's support fee.

    A service credit pays future support fees and nothing else (seed 2, 1.3), so a claim granted as
    credit appears on a later invoice, as ``service_credit_yen``. Claims of one month share its
    fee in the order given.
    """
    granted: dict[str, int] = {}
    refund = 0
    for claim in claims:
        month = month_of(claim.violated_on)
        yen = sla_refund_yen(claim, granted.get(month, 0))
        granted[month] = granted.get(month, 0) + yen
        refund += 0 if claim.as_service_credit else yen
    credit = min(service_credit_yen, fee_yen)
    return [
        make_line(
            account,
            "sla_refund",
            item,
            unit="time",
            unit_price_micro=-yen * MINOR_MICRO["JPY"],
            source="Support terms, 10.6",
        )
        for item, yen in (("sla_refund", refund), ("support_service_credit", credit))
        if yen
    ]
