"""From hourly metrics to charges: one row per VPG, clock hour and bill item.

Owns: which bill items an hour owes, and how many of each. Does not own: prices (``vpg.catalogue``),
months, tax and rounding (``vpg.billing``). Times: ``hour_start_us`` is ``HourStartUs``. Money is
integer micro-yen, tax excluded. An hour touched at all is owed whole (A-14, terms, price table,
general rule 3), so peaks of the hour count, over all its rows. An hour is owed while the VPG
exists: with or without lines, used or not, paused or stopped for non-payment (terms, article 12.2).
What has no price gives a row whose price and amount are ``None``.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vpg.catalogue.items import INSPECTION_UNIT, ONE_OFF_ITEMS, REQUEST_ITEMS, base_item
from vpg.errors import ensure
from vpg.rating.hourly import key_of
from vpg.rating.usage import requests_used, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vpg.catalogue.model import Catalogue
    from vpg.rating.hourly import HourlyRow
    from vpg.rating.usage import Usage

SCHEMA = "vpgsim-charges-v1"
CHARGE_NAMES = (
    "vpg_id",
    "hour_start_us",
    "bill_item",
    "quantity",
    "unit_price_micro_yen",
    "amount_micro_yen",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePolicy:
    """Readings of the terms that the hourly charges depend on (A-09, A-10, A-11, A-32)."""

    included_connection: Literal["one_in_total", "one_of_each"] = "one_in_total"
    """What the base price holds; ``one_in_total`` takes a Peering first, then VIF, then VPN."""
    inspection: Literal["per_started_10000", "first_10000"] = "per_started_10000"
    """Lines above the first 10,000: another fee each 10,000 begun, or none."""
    junction_inspection: Literal["additive", "inspection_only"] = "additive"
    """Whether the Junction base fee is owed beside inspection."""
    resize_hour: Literal["both", "dearer"] = "both"
    """What an hour with two types or sizes owes; ``dearer`` keeps both where one has no price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRow:
    """What one VPG owes for one bill item in one clock hour; micro-yen, ``None`` = unpriced."""

    vpg_id: str
    hour_start_us: int
    bill_item: str
    quantity: int
    unit_price_micro_yen: int | None
    amount_micro_yen: int | None


def rate_hours(
    rows: Iterable[HourlyRow], catalogue: Catalogue, policy: ChargePolicy
) -> list[ChargeRow]:
    """Return the charges of ``rows``, sorted by (vpg_id, hour_start_us, bill_item).

    Hours are rated apart. Requests, which only a user's table prices, are counted over a rating
    month: then ``rows`` hold every VPG's hours from the month's first on.
    """
    rows = list(rows)
    charges: list[ChargeRow] = []
    ordered = sorted(rows, key=key_of)
    for (vpg_id, hour), group in itertools.groupby(
        ordered, key=lambda row: (row.vpg_id, row.hour_start_us)
    ):
        owed: dict[str, int] = {}
        for item, quantity in _owed(list(group), catalogue, policy):
            owed[item] = owed.get(item, 0) + quantity
        for item in sorted(owed):
            price = catalogue.price_micro_yen(item, hour)
            charges.append(charge(vpg_id, hour, item, owed[item], price))
    if catalogue.prices_usage(REQUEST_ITEMS):
        charges += rate_usage(requests_used(rows), catalogue)
        charges.sort(key=charge_key)
    return charges


def rate_usage(usages: Iterable[Usage], catalogue: Catalogue) -> list[ChargeRow]:
    """Return the charges of what a user's tables price by the month, sorted as ``rate_hours`` does.

    ``usages`` hold all use of their rating months; what no table speaks of owes nothing.
    """
    owed = steps(usages, catalogue)
    return [
        charge(step.vpg_id, step.hour_start_us, step.bill_item, quantity, step.micro_yen)
        for step, quantity in sorted(owed.items(), key=lambda one: one[0][:3])
    ]


def charge(
    vpg_id: str, hour_start_us: int, bill_item: str, quantity: int, price_micro_yen: int | None
) -> ChargeRow:
    """Return the row of ``quantity`` units at one price; ``None`` = unpriced."""
    return ChargeRow(
        vpg_id=vpg_id,
        hour_start_us=hour_start_us,
        bill_item=bill_item,
        quantity=quantity,
        unit_price_micro_yen=price_micro_yen,
        amount_micro_yen=None if price_micro_yen is None else price_micro_yen * quantity,
    )


def _owed(
    group: Sequence[HourlyRow], catalogue: Catalogue, policy: ChargePolicy
) -> Iterator[tuple[str, int]]:
    """Yield (bill item, quantity ≥ 1) of one VPG in one clock hour."""
    hour = group[0].hour_start_us
    existing = [row for row in group if row.vpg_exists]
    if existing:
        for item in _bases(existing, catalogue, policy):
            yield item, 1
        for item, quantity in (
            *_connections(existing, policy),
            *_junction(existing, catalogue, policy, hour),
            ("fixed_ip", max(row.fixed_ip_sets for row in existing)),
        ):
            if quantity:
                yield item, quantity
    for row in group:
        for item in filter(None, row.one_off.split(",")):
            ensure(item in ONE_OFF_ITEMS, f"{item} is a one-off bill item")
            yield item, 1


def _bases(
    existing: Sequence[HourlyRow], catalogue: Catalogue, policy: ChargePolicy
) -> tuple[str, ...]:
    """Return the base items of the hour: each type and size touched, or the dearest (A-32)."""
    items = tuple(dict.fromkeys(base_item(row.type, row.size) for row in existing))
    if policy.resize_hour == "both":
        return items
    hour = existing[0].hour_start_us
    prices = {item: catalogue.price_micro_yen(item, hour) for item in items}
    known = {item: price for item, price in prices.items() if price is not None}
    if len(known) < len(items):
        return items  # an unknown price may be the dearer one: nothing is left out in silence
    return (max(reversed(items), key=lambda item: known[item]),)


def _connections(
    existing: Sequence[HourlyRow], policy: ChargePolicy
) -> tuple[tuple[str, int], ...]:
    """Return the connections owed beside the included one (A-09)."""
    peering = max(row.peering_peak for row in existing)
    vif = max(row.vif_peak for row in existing)
    vpn = max(row.vpn_peak for row in existing)
    if policy.included_connection == "one_of_each":
        included = (1, 1, 1)
    else:
        included = (1, 0 if peering else 1, 0 if peering or vif else 1)
    return (
        ("peering", max(0, peering - included[0])),
        ("vif", max(0, vif - included[1])),
        ("vpn", max(0, vpn - included[2])),
    )


def _junction(
    existing: Sequence[HourlyRow], catalogue: Catalogue, policy: ChargePolicy, hour: int
) -> tuple[tuple[str, int], ...]:
    """Return the Junction items owed (A-10, A-11); mirroring and redirection have no fee."""
    inspection = any(row.inspection_on for row in existing)
    base = inspection or any(row.junction_on for row in existing)
    if inspection and policy.junction_inspection == "inspection_only":
        base = False
    units = 0
    if inspection:
        lines = max(row.lines_inspected for row in existing)
        unit_lines = catalogue.count(INSPECTION_UNIT, hour)
        # Switched on without one line to inspect is a use of the hour: one unit, never none.
        units = 1
        if policy.inspection == "per_started_10000" and unit_lines is not None:
            units = max(1, -(-lines // unit_lines))
    return (("junction_base", int(base)), ("junction_inspection", units))


def charge_key(row: ChargeRow) -> tuple[str, int, str]:
    """Return what identifies ``row``."""
    return row.vpg_id, row.hour_start_us, row.bill_item


def charges_digest(rows: Iterable[ChargeRow]) -> str:
    """Return the SHA-256 (hex) that two runs share exactly when every charge is equal.

    Header line, rows sorted by key, cells as decimal ASCII or names, ``None`` empty, TAB between,
    LF after.
    """
    sha = hashlib.sha256(f"{SCHEMA}\n".encode())
    for row in sorted(rows, key=charge_key):
        values = (getattr(row, name) for name in CHARGE_NAMES)
        cells = "\t".join("" if value is None else str(value) for value in values)
        sha.update(f"{cells}\n".encode())
    return sha.hexdigest()
