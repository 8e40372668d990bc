"""Promises of a scenario, checked after its run.

Owns: what each kind of objective measures. Does not own: totals (``vpg.rating.totals``) or bills
(``vpg.billing``). Shares are in parts per million, rounded against the promise: nothing is met by
rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.errors import ensure

if TYPE_CHECKING:
    from scenarios.model import Objective, Scenario
    from vpg.billing.month import Bill
    from vpg.rating.totals import Totals

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveResult:
    """One promise and what came of it, in the unit that ``kind`` ends with."""

    kind: str
    vpg_id: str
    limit: int
    measured: int
    met: bool


def judge(scenario: Scenario, totals: Totals, bill: Bill) -> tuple[ObjectiveResult, ...]:
    """Return one result for each objective of ``scenario``, in its order.

    A share of nothing (no message was decided, no attempt made) keeps its promise. A limit on
    charges is not kept while something used has no price: what is known is only a lower bound.
    """
    return tuple(_judge(objective, totals, bill) for objective in scenario.objectives)


def _judge(objective: Objective, totals: Totals, bill: Bill) -> ObjectiveResult:
    of = totals
    if objective.vpg_id:
        own = [one for one in totals.per_vpg if one.vpg_id == objective.vpg_id]
        # A VPG that never existed in what was simulated has no rows: its figures are 0.
        of = own[0] if own else type(totals)(vpg_id=objective.vpg_id)
    measured = measure(objective.kind, of, totals, bill)
    met = (
        measured >= objective.limit
        if objective.kind.endswith("_min")
        else measured <= objective.limit
    ) and (objective.kind != "charges_yen_max" or bill.complete)
    return ObjectiveResult(
        kind=objective.kind,
        vpg_id=objective.vpg_id,
        limit=objective.limit,
        measured=measured,
        met=met,
    )


def measure(kind: str, of: Totals, whole: Totals, bill: Bill) -> int:
    """Return what ``kind`` measures of ``of``; for percentiles and peaks of all: the worst VPG."""
    worst = whole.per_vpg if of is whole and whole.per_vpg else (of,)
    decided = of.messages_delivered + of.messages_lost
    measured = {
        "accepted_ppm_min": of.messages_delivered * MILLION // decided if decided else MILLION,
        "throttled_ppm_max": _share_up(of.throttled_limited, of.attempts_limited),
        "refused_attach_ppm_max": _share_up(of.sessions_refused, of.attach_attempts),
        "lost_messages_max": of.messages_lost,
        "delay_us_p99_max": max(one.delay_us_p99 for one in worst),
        "rate_peak_per_s_max": max(one.rate_peak_per_s for one in worst),
        "lines_peak_max": max(one.lines_peak for one in worst),
        "charges_yen_max": bill.tax_included_yen,
    }
    ensure(kind in measured, f"{kind} is a kind of objective")
    return measured[kind]


def _share_up(part: int, whole: int) -> int:
    return -(-part * MILLION // whole) if whole else 0
