"""The clerk's charges: from what a VPG was in each hour to yen, in fractions.

Written from the terms of the private-network services (price table 1 and its general rules 1 to 3)
and the documented readings; prices stand here as literals. Nothing here uses the product's rules:
rows of hourly metrics come in, charges leave.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from tests.validation.billing_oracle_days import JST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpg.rating.charges import ChargePolicy
    from vpg.rating.hourly import HourlyRow

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
YEN_AN_HOUR = {
    "vpg_c_small": 50,
    "vpg_c_medium": 100,
    "vpg_c_large": 300,
    "vpg_d_small": 300,
    "vpg_d_medium": 600,
    "vpg_d_large": 1_800,
    "junction_base": 15,
    "junction_inspection": 100,
    "peering": 10,
    "vif": 10,
    "vpn": 10,
    "fixed_ip": 15,
}
YEN_ONCE = {"contract_fee_c": 980, "contract_fee_d": 9_800, "change_fee_d": 9_800}
INSPECTED_LINES = 10_000
TERMS_SINCE = dt.date(2019, 10, 1)
"""The terms show prices with 10 % tax, so nothing is known of the time before that rate."""
REQUESTS = {"beam_requests": "beam", "funnel_requests": "funnel", "funk_requests": "funk"}
LINES = ("line_basic", "line_ready", "line_standby")
TAX = ((dt.date(2014, 4, 1), Fraction(8, 100)), (dt.date(2019, 10, 1), Fraction(10, 100)))


class Charge(NamedTuple):
    vpg_id: str
    hour: dt.datetime
    item: str
    quantity: int
    yen_each: Fraction | None


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A user's price of use in a month: free units first, then the price, dearer or not above."""

    yen: Fraction | None
    free: int = 0
    above: tuple[tuple[int, Fraction], ...] = ()
    legs: int = 1


@dataclass(frozen=True, kw_only=True)
class Prices:
    """The terms' prices, and what a user's table puts in their place from a day on (JST)."""

    own: dict[str, tuple[tuple[dt.date, Fraction], ...]] = field(default_factory=dict)
    usage: dict[str, Scale] = field(default_factory=dict)
    tax: tuple[tuple[dt.date, Fraction], ...] = TAX

    def yen(self, item: str, at: dt.datetime) -> Fraction | None:
        day = at.astimezone(JST).date()
        known = YEN_AN_HOUR.get(item, YEN_ONCE.get(item))
        found = None if known is None or day < TERMS_SINCE else Fraction(known)
        for since, value in self.own.get(item, ()):
            if since <= day:
                found = value
        return found

    def tax_on(self, day: dt.date) -> Fraction:
        return max((since, rate) for since, rate in self.tax if since <= day)[1]


def moment(us: int) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=us)


def hourly(rows: Iterable[HourlyRow], prices: Prices, policy: ChargePolicy) -> list[Charge]:
    """Return what each VPG owes for each hour it was there, and its fees that fall due once."""
    hours: dict[tuple[str, int], list[HourlyRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.config_seq):
        hours[row.vpg_id, row.hour_start_us].append(row)
    found = []
    for (vpg_id, start), parts in hours.items():
        hour = moment(start)
        owed: dict[str, int] = defaultdict(int)
        for fee in (fee for part in parts for fee in part.one_off.split(",") if fee):
            owed[fee] += 1
        there = [part for part in parts if part.vpg_exists]
        if there:
            for item, count in _hour(there, prices, policy, hour):
                owed[item] += count
        found += [
            Charge(vpg_id, hour, item, count, prices.yen(item, hour))
            for item, count in owed.items()
            if count
        ]
    return found


def _hour(
    there: Sequence[HourlyRow], prices: Prices, policy: ChargePolicy, hour: dt.datetime
) -> list[tuple[str, int]]:
    """Return (item, how many) of an hour in which the VPG existed."""

    def most(name: str) -> int:
        return max(int(getattr(part, name)) for part in there)

    bases = []
    for part in there:
        base = "_".join(filter(None, ("vpg", part.type.lower(), part.size)))
        if base not in bases:
            bases.append(base)
    values = [prices.yen(base, hour) for base in bases]
    if policy.resize_hour == "dearer" and None not in values:
        # Of two that cost the same it is the later one that the VPG is then.
        top = max(value for value in values if value is not None)
        bases = [base for base, value in zip(bases, values, strict=True) if value == top][-1:]
    owed = [(base, 1) for base in bases]

    counts = {"peering": most("peering_peak"), "vif": most("vif_peak"), "vpn": most("vpn_peak")}
    if policy.included_connection == "one_of_each":
        counts = {kind: max(0, count - 1) for kind, count in counts.items()}
    else:
        for kind, count in counts.items():
            if count:
                counts[kind] = count - 1
                break
    owed += counts.items()

    inspected = most("inspection_on") > 0
    if inspected:
        started = math.ceil(Fraction(most("lines_inspected"), INSPECTED_LINES))
        extra = policy.inspection == "per_started_10000" and started > 1
        owed.append(("junction_inspection", started if extra else 1))
    if inspected or most("junction_on"):
        only = inspected and policy.junction_inspection == "inspection_only"
        owed.append(("junction_base", 0 if only else 1))
    owed.append(("fixed_ip", most("fixed_ip_sets")))
    return owed


def requests(rows: Iterable[HourlyRow], prices: Prices) -> list[Charge]:
    """Return the charges of admitted requests, where a table prices any of them."""
    if not any(item in prices.usage for item in REQUESTS):
        return []
    uses = [
        (row.hour_start_us, row.vpg_id, item, admitted(row, service))
        for row in rows
        for item, service in REQUESTS.items()
    ]
    return counted(uses, prices)


def admitted(row: HourlyRow, service: str) -> int:
    """Return the requests that count: a failed delivery does, a refusal at the VPG not (A-08)."""
    delivered = int(getattr(row, f"accepted_{service}"))
    return delivered + int(getattr(row, f"failed_upstream_{service}"))


def counted(uses: Iterable[tuple[int, str, str, int]], prices: Prices) -> list[Charge]:
    """Return the charges of (hour, VPG, item, units): the month's count runs over hours and VPGs.

    A unit is free up to the free ones; then its place in the month's count, free ones included,
    says its step.
    """
    so_far: dict[tuple[str, str], int] = defaultdict(int)
    owed: dict[tuple[str, int, str, Fraction | None], int] = defaultdict(int)
    for start, vpg_id, item, times in sorted(uses):
        scale = prices.usage.get(item, Scale(yen=None))
        units = times * scale.legs
        month = moment(start).strftime("%Y%m")
        before = so_far[month, item]
        so_far[month, item] = before + units
        edges = [0, scale.free, *(above for above, _ in scale.above)]
        steps: list[tuple[str, Fraction | None]] = [(f"{item}_free", Fraction(0))]
        steps.append((item, scale.yen))
        steps += [(f"{item}_tier{n}", value) for n, (_, value) in enumerate(scale.above, start=2)]
        for place, (name, value) in enumerate(steps):
            low = edges[place]
            high = edges[place + 1] if place + 1 < len(edges) else before + units
            within = max(0, min(high, before + units) - max(low, before))
            owed[vpg_id, start, name, value] += within
    return [
        Charge(vpg_id, moment(start), name, units, value)
        for (vpg_id, start, name, value), units in owed.items()
        if units
    ]
