"""What an outage takes off the bill, and how far damages go.

Owns: the outage rules of the VPG terms (seed 1, 16.2) and of the Flux terms (seed 3, 15.2). Does
not own: fees. Times: instants are ``SimUs``; claims are days in JST. Money: micro-yen for credits
(tax excluded, they lower a fee), whole yen for damages. Every rule ends at the caller's facts: who
was at fault, when the provider became aware, what was claimed; nothing of it can be computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vpg.billing.calendar import month_bounds_us, period_last_day
from vpg.billing.lines import MINOR_MICRO, Account, make_line
from vpg.billing.money import round_up
from vpg.catalogue.items import ONE_OFF_ITEMS
from vpg.errors import InputError, Problem
from vpg.timebase import DAY_US, hour_start

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Container, Iterable

    from vpg.billing.model import InvoiceLine
    from vpg.billing.policy import InvoicePolicy
    from vpg.rating.charges import ChargeRow

CLAIM_MONTHS = 3
DAY_HOURS = 24
SOURCE = {
    "vpg": "Terms of the private-network (VPG) services, 16.2",
    "flux": "Flux terms, 15.2",
}
Refused = Literal["", "not_provider", "not_complete", "under_24_hours", "not_claimed", "too_late"]
"""Why there is no credit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One time without service, as the two sides agree it was.

    ``fault``: ``carrier_or_cloud`` is the mobile carrier or AWS (seed 1, 16.2(4)), for Flux the
    provider of a service it is built on (seed 3, 15.2(4)); ``third_party`` anybody else.
    """

    service: Literal["vpg", "flux"]
    began_us: int
    aware_us: int
    """When the provider became aware that the service was unusable: the count starts here."""
    ended_us: int
    complete: bool
    """Nothing worked at all, without a break."""
    fault: Literal["provider", "carrier_or_cloud", "third_party"]
    gross: bool = False
    """The provider's intent or gross negligence."""
    known_on: dt.date
    """Day on which the customer learned of it."""
    claimed_on: dt.date | None
    month: str
    """Rating month whose fee is the measure: that in which the damage occurred."""
    hourly_fee_micro: int = 0
    """Hourly fees of what was unusable (``hourly_fee``); 0 where there is none, as with Flux."""
    month_fee_micro: int
    """Fee of the service for that month, tax excluded; also the cap."""
    damage_yen: int = 0
    """Ordinary damage proven, without lost profit."""
    received_yen: int = 0
    """What the provider received from carrier or cloud for it; a user value."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What an outage takes off the fee, or why nothing."""

    days: int
    amount_micro: int
    refused: Refused


def unusable_us(outage: Outage) -> int:
    """Return how long the outage counts: from the provider's awareness to its end.

    Source: seed 1, 16.2(2); seed 3, 15.2(2). Raises ``InputError`` when it ends before it begins.
    """
    if outage.ended_us < outage.began_us:
        raise InputError([Problem(code="VPG1704", values={"note": outage.note or outage.service})])
    return max(0, outage.ended_us - max(outage.began_us, outage.aware_us))


def credit_days(unusable: int) -> int:
    """Return the hours over 24 without the fraction: days that are credited.

    Source: seed 1, 16.2(2); seed 3, 15.2(2).

    >>> [credit_days(hours * 3_600_000_000) for hours in (23, 24, 47, 48)]
    [0, 1, 1, 2]
    """
    return unusable // DAY_US


def claim_last_day(known_on: dt.date) -> dt.date:
    """Return the last day to claim: three months after the customer learned of the outage.

    Source: seed 1, 16.2(2); seed 3, 15.2(2).

    >>> import datetime as dt
    >>> str(claim_last_day(dt.date(2026, 1, 15)))
    '2026-04-15'
    """
    return period_last_day(known_on, CLAIM_MONTHS)


def refusal(outage: Outage) -> Refused:
    """Return why an outage gives no credit; empty when it does.

    Only the provider's fault, only without any service, only from 24 hours on, only on a claim in
    time; intent or gross negligence lifts the time limit. Source: seed 1, 16.2(1), (2) and (4);
    seed 3, 15.2(1), (2), (4) and (7).
    """
    if outage.fault != "provider":
        return "not_provider"
    if not outage.complete:
        return "not_complete"
    if not credit_days(unusable_us(outage)):
        return "under_24_hours"
    if outage.claimed_on is None:
        return "not_claimed"
    if not outage.gross and outage.claimed_on > claim_last_day(outage.known_on):
        return "too_late"
    return ""


def credit(outage: Outage, policy: InvoicePolicy) -> Credit:
    """Return the credit of ``outage``: whole days of its fees (A-30), capped at the month's fee.

    The cap falls with intent or gross negligence. Flux has no hourly fee, so its days are always
    shares of the month. Source: seed 1, 16.2(2) and (3); seed 3, 15.2(2), (3) and (7).
    """
    refused = refusal(outage)
    if refused:
        return Credit(days=0, amount_micro=0, refused=refused)
    days = credit_days(unusable_us(outage))
    if policy.outage_credit == "hourly_fees" and outage.service == "vpg":
        amount = days * DAY_HOURS * outage.hourly_fee_micro
    else:
        begin_us, end_us = month_bounds_us(outage.month)
        amount = round_up(outage.month_fee_micro * days * DAY_US, end_us - begin_us)
    if not outage.gross:
        amount = min(amount, outage.month_fee_micro)
    return Credit(days=days, amount_micro=amount, refused="")


def damages_yen(outage: Outage, policy: InvoicePolicy) -> int:
    """Return what the provider owes beyond the credit, in whole yen.

    * Its own fault: the damage less the credit, both together no more than the month's fee; with
      intent or gross negligence without limit. For Flux the credit is the only remedy, save for
      intent or gross negligence.
    * Carrier or cloud: the damage, up to what they paid the provider; no fee caps it.
    * Anybody else: nothing.

    Source: seed 1, 16.2(1), (3), (4) and (5); seed 3, 15.2(1) to (4) and (7).
    """
    if outage.fault == "third_party":
        return 0
    if outage.fault == "carrier_or_cloud":
        return min(outage.damage_yen, outage.received_yen)
    if outage.service == "flux" and not outage.gross:
        return 0
    credited = round_up(credit(outage, policy).amount_micro, MINOR_MICRO["JPY"])
    left = max(0, outage.damage_yen - credited)
    if outage.gross:
        return left
    return min(left, max(0, outage.month_fee_micro // MINOR_MICRO["JPY"] - credited))


def hourly_fee(charges: Iterable[ChargeRow], vpg_ids: Container[str], at_us: int) -> int:
    """Return the hourly fees (micro-yen) of the VPGs in the clock hour of ``at_us``.

    One-off fees are no part of it; unpriced items add nothing.
    """
    hour = hour_start(at_us)
    return sum(
        row.amount_micro_yen or 0
        for row in charges
        if row.hour_start_us == hour
        and row.vpg_id in vpg_ids
        and row.bill_item not in ONE_OFF_ITEMS
    )


def outage_lines(
    outages: tuple[Outage, ...], account: Account, policy: InvoicePolicy
) -> list[InvoiceLine]:
    """Return credits and damages of ``outages`` (Japan coverage) as negative lines.

    A credit lowers the fee and so its tax; damages are no fee and carry none. Both are taken off
    the invoice of the month they are handed in with (seed 1, 16.2(2): what is charged is lowered).
    """
    lines = []
    for one in outages:
        lowered = credit(one, policy)
        if lowered.amount_micro:
            note = f"{lowered.days} days. {one.note}".strip()
            lines.append(
                make_line(
                    account,
                    "outage_credit",
                    f"outage_credit_{one.service}",
                    unit="time",
                    unit_price_micro=-lowered.amount_micro,
                    source=SOURCE[one.service],
                    note=note,
                )
            )
        damages = damages_yen(one, policy)
        if damages:
            lines.append(
                make_line(
                    account,
                    "damages",
                    f"damages_{one.service}",
                    unit="time",
                    unit_price_micro=-damages * MINOR_MICRO["JPY"],
                    tax_class="untaxed",
                    source=SOURCE[one.service],
                    note=one.note,
                )
            )
    return lines
