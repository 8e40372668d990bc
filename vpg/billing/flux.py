"""Flux: plans, event quota and credits, all from a price table of the user.

Owns: how a month's use of Flux becomes lines. Does not own: prices (the terms only point to a web
page, seed 3, 12.1), outages of Flux (``outage``, seed 3, 15.2). Quotas count per month and per
coverage. Source of the mechanism: provider's Flux documentation (plans, quotas); figures are the
user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.billing.lines import Account, make_line
from vpg.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpg.billing.model import InvoiceLine
    from vpg.billing.policy import InvoicePolicy

SOURCE = "Flux terms, 12.1; provider's Flux documentation; price table of the user"


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxPlan:
    """One row of the user's table, in micro units of the coverage's currency."""

    name: str
    month_fee_micro: int | None
    """``None``: not known; the month is then incomplete."""
    events_included: int
    credits_included: int
    event_price_micro: int | None = None
    """Each event above the quota; ``None``: apps stop at the quota until the next month."""
    credit_price_micro: int | None = None
    """The same for credits: without a price only actions that use credits stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxUse:
    """A coverage's month: what was planned at its start, what changed, what arrived."""

    plans: tuple[str, ...]
    """The plan at the month's start, then each one changed to, in order; at least one."""
    events: int
    credits_used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxMonth:
    """What the month costs, and what did not run."""

    lines: tuple[InvoiceLine, ...]
    events_stopped: int
    credits_stopped: int
    next_plan: str
    """The plan at the start of the next month."""


def plans_in_force(use: FluxUse, table: Mapping[str, FluxPlan]) -> tuple[list[FluxPlan], str]:
    """Return the plans that were in force in turn this month, and the one of the next month.

    An upgrade takes effect at once, a downgrade with the next month; which is which, the fee says
    (only a dearer plan is an upgrade).
    Raises ``InputError`` for a plan that the table does not have. Source: Flux documentation.
    """
    unknown = [name for name in dict.fromkeys(use.plans) if name not in table]
    if unknown:
        known = ", ".join(sorted(table))
        raise InputError(
            [Problem(code="VPG1707", values={"value": name, "known": known}) for name in unknown]
        )
    held = [table[use.plans[0]]]
    for name in use.plans[1:]:
        if (table[name].month_fee_micro or 0) > (held[-1].month_fee_micro or 0):
            held.append(table[name])
    return held, use.plans[-1]


def flux_month(
    use: FluxUse, table: Mapping[str, FluxPlan], account: Account, policy: InvoicePolicy
) -> FluxMonth:
    """Return the lines of a month of Flux: plan, events and credits above the quota.

    No pro-rata; in the month of an upgrade the new plan's month is owed (A-46). The quota is that
    of the plan in force last. What is above it costs its price, or does not run.

    >>> from vpg.billing.policy import InvoicePolicy
    >>> table = {"std": FluxPlan(name="std", month_fee_micro=500_000_000, events_included=100,
    ...                          credits_included=10, event_price_micro=1_000)}
    >>> account = Account(operator_id="OP1", month="202604", tax_ppm=0, coverage="GL")
    >>> month = flux_month(FluxUse(plans=("std",), events=150, credits_used=12), table, account,
    ...                    InvoicePolicy())
    >>> [(line.item, line.quantity) for line in month.lines], month.credits_stopped
    ([('flux_std', 1), ('flux_std_events', 50)], 2)
    """
    held, following = plans_in_force(use, table)
    last = held[-1]
    lines = [
        make_line(
            account,
            "flux",
            f"flux_{plan.name}",
            unit="month",
            unit_price_micro=plan.month_fee_micro,
            source=SOURCE,
        )
        for plan in (held if policy.flux_upgrade == "both_plans" else [last])
    ]
    stopped = {}
    for unit, used, quota, price in (
        ("event", use.events, last.events_included, last.event_price_micro),
        ("credit", use.credits_used, last.credits_included, last.credit_price_micro),
    ):
        above = max(0, used - quota)
        stopped[unit] = above if price is None else 0
        if above and price is not None:
            lines.append(
                make_line(
                    account,
                    "flux",
                    f"flux_{last.name}_{unit}s",
                    unit=unit,
                    unit_price_micro=price,
                    quantity=above,
                    source=SOURCE,
                )
            )
    return FluxMonth(
        lines=tuple(lines),
        events_stopped=stopped["event"],
        credits_stopped=stopped["credit"],
        next_plan=following,
    )
