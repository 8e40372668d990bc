"""What is counted over a rating month and priced by a user's table: requests, and lines.

Owns: counting use over the month. Does not own: free units and price steps (``vpg.catalogue``),
rows of charges (``vpg.rating.charges``), or which lines a month has (``vpg.billing.lifecycle``).
Times: ``hour_start_us`` is ``HourStartUs``; a rating month is a UTC calendar month. Money is
integer micro-yen for one unit, tax excluded.

The shipped tables price none of this, so none of it is part of a bill. A table that prices one item
of a group (requests; lines) asks for the whole group: what is used and has no price is then
unpriced, and the bill incomplete. Units of one hour are counted VPG by VPG in the order of their
ids, so that it is settled whose request was the first beyond the free ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from vpg.catalogue.items import REQUEST_ITEMS, USAGE_GROUPS
from vpg.catalogue.scales import Part
from vpg.rating.hourly import LIMITED_SERVICES
from vpg.timebase import month_start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpg.catalogue.model import Catalogue
    from vpg.rating.hourly import HourlyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """``quantity`` units of one item in one clock hour; ``line`` is empty where nobody knows it."""

    vpg_id: str
    hour_start_us: int
    bill_item: str
    quantity: int
    line: str = ""


class Step(NamedTuple):
    """One VPG's use of one item at one price in one clock hour; ``None`` = unpriced."""

    vpg_id: str
    hour_start_us: int
    bill_item: str
    micro_yen: int | None


def requests_used(rows: Iterable[HourlyRow]) -> list[Usage]:
    """Return the requests that each VPG admitted in each hour, delivered or failed (A-08)."""
    used: list[Usage] = []
    for row in rows:
        for service, item in zip(LIMITED_SERVICES, REQUEST_ITEMS, strict=True):
            accepted = int(getattr(row, f"accepted_{service}"))
            admitted = accepted + int(getattr(row, f"failed_upstream_{service}"))
            if admitted:
                used.append(
                    Usage(
                        vpg_id=row.vpg_id,
                        hour_start_us=row.hour_start_us,
                        bill_item=item,
                        quantity=admitted,
                    )
                )
    return used


def steps(usages: Iterable[Usage], catalogue: Catalogue) -> dict[Step, int]:
    """Return how many units each VPG used at each price, in the steps of their rating month.

    Use that a price counts by line, told without its line, is unpriced: nobody shares it out.
    """
    asked = {item for group in USAGE_GROUPS if catalogue.prices_usage(group) for item in group}
    counted: dict[tuple[int, str, str], int] = {}
    owed: dict[Step, int] = {}
    wanted = [usage for usage in usages if usage.bill_item in asked]
    for usage in sorted(wanted, key=_order):
        item, hour = usage.bill_item, usage.hour_start_us
        entry = catalogue.find(item, hour)
        scale = None if entry is None else entry.scale
        by_line = scale is not None and scale.per == "line"
        month = (month_start(hour), item, usage.line if by_line else "")
        before = counted.get(month, 0)
        quantity = usage.quantity if scale is None else usage.quantity * scale.legs
        counted[month] = before + quantity
        if entry is None or entry.value is None or scale is None:
            parts = [Part(item, quantity, None)]
        elif by_line and not usage.line:
            parts = [Part(f"{item}_without_line", quantity, None)]
        else:
            parts = scale.split(item, entry.value, before, quantity)
        for name, units, price in parts:
            step = Step(usage.vpg_id, hour, name, price)
            owed[step] = owed.get(step, 0) + units
    return owed


def _order(usage: Usage) -> tuple[int, str, str, str]:
    return usage.hour_start_us, usage.vpg_id, usage.bill_item, usage.line
