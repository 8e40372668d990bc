"""The closed list of things a catalogue can give a figure for, with the unit each figure has.

Owns: item names, their units and ranges. Does not own: any figure (``tables/*.toml``), or how a
figure is used (``vpg.rating``, ``vpg.gateway``). Names follow ``<what>_<type>_<size>``; types
without sizes leave the size out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MICRO_YEN = 1_000_000
PPM = 1_000_000

Section = Literal["price", "usage", "limit", "tax", "feature", "code", "rule"]
SECTIONS: tuple[Section, ...] = ("price", "usage", "limit", "tax", "feature", "code", "rule")

SIZED_TYPES = ("C", "D")
UNSIZED_TYPES = ("E", "F", "F2", "G")
TYPES = SIZED_TYPES + UNSIZED_TYPES
SIZES = ("small", "medium", "large")
FEATURES = ("peering", "vif", "vpn", "gate", "junction", "fixed_ip")
ROUNDINGS = ("monthly_total", "per_item", "per_day")
CONFIDENCES = ("high", "medium", "low", "user")

_YEN_MAX = 1_000_000_000
_COUNT_MAX = 100_000_000
_RATE_MAX = 1_000_000  # the limiter's integer core is proven up to a million requests a second


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemKind:
    """What one item's figure may be.

    ``scale`` turns the figure a person writes into the integer kept (yen → micro-yen, percent →
    ppm); ``minimum`` and ``maximum`` bound the figure as written. ``unknown`` allows ``value =
    "unknown"``.
    """

    item: str
    section: Section
    unit: str
    scale: int = 1
    minimum: int = 0
    maximum: int = _COUNT_MAX
    unknown: bool = True


def suffix(vpg_type: str, size: str) -> str:
    """Return the end of an item's name for a VPG of ``vpg_type`` and ``size``.

    >>> suffix("C", "small"), suffix("F2", "")
    ('c_small', 'f2')
    """
    return f"{vpg_type.lower()}_{size}" if vpg_type in SIZED_TYPES else vpg_type.lower()


def vpg_kinds() -> tuple[tuple[str, str], ...]:
    """Return every (type, size) that exists; types without sizes have the size ``""``."""
    sized = tuple((t, s) for t in SIZED_TYPES for s in SIZES)
    return sized + tuple((t, "") for t in UNSIZED_TYPES)


def base_item(vpg_type: str, size: str) -> str:
    """Return the bill item of one hour of a VPG.

    >>> base_item("D", "large")
    'vpg_d_large'
    """
    return f"vpg_{suffix(vpg_type, size)}"


def type_items(vpg_type: str, size: str) -> tuple[str, ...]:
    """Return the items any VPG of this type and size depends on."""
    end = suffix(vpg_type, size)
    return (f"vpg_{end}", f"lines_max_{end}", f"rate_per_s_{end}")


EXTRA_ITEMS = (
    "junction_base",
    "junction_mirroring",
    "junction_redirection",
    "junction_inspection",
    "peering",
    "vif",
    "vpn",
    "fixed_ip",
)
"""Hourly bill items beside the VPG itself."""
ONE_OFF_ITEMS = (*(f"contract_fee_{t.lower()}" for t in TYPES), "change_fee_d")
"""Fees that fall due once."""
HOURLY_ITEMS = (*(base_item(t, s) for t, s in vpg_kinds()), *EXTRA_ITEMS)
BILL_ITEMS = (*HOURLY_ITEMS, *ONE_OFF_ITEMS)
REQUEST_ITEMS = ("beam_requests", "funnel_requests", "funk_requests")
"""Requests that the VPG admitted, counted over a rating month (A-08)."""
LINE_ITEMS = ("line_basic", "line_standby", "line_ready")
"""Lines of a rating month, by what they were at most in it."""
USAGE_GROUPS = (REQUEST_ITEMS, LINE_ITEMS)
"""Only a user's table prices these; one that prices an item of a group asks for all of it."""
INSPECTION_UNIT = "inspection_lines_per_unit"


def _kinds() -> dict[str, ItemKind]:
    ends = [suffix(t, s) for t, s in vpg_kinds()]
    kinds = [
        *(
            ItemKind(item=i, section="price", unit="yen/h", scale=MICRO_YEN, maximum=_YEN_MAX)
            for i in HOURLY_ITEMS
        ),
        *(
            ItemKind(item=i, section="price", unit="yen", scale=MICRO_YEN, maximum=_YEN_MAX)
            for i in ONE_OFF_ITEMS
        ),
        *(
            ItemKind(item=i, section="usage", unit=unit, scale=MICRO_YEN, maximum=_YEN_MAX)
            for items, unit in zip(USAGE_GROUPS, ("yen/request", "yen/line/month"), strict=True)
            for i in items
        ),
        *(ItemKind(item=f"lines_max_{e}", section="limit", unit="lines", minimum=1) for e in ends),
        *(
            ItemKind(
                item=f"rate_per_s_{e}",
                section="limit",
                unit="requests/s",
                minimum=1,
                maximum=_RATE_MAX,
            )
            for e in ends
        ),
        ItemKind(item=INSPECTION_UNIT, section="limit", unit="lines", minimum=1, unknown=False),
        ItemKind(item="peering_max", section="limit", unit="connections"),
        ItemKind(item="mirror_peers_max", section="limit", unit="peers"),
        ItemKind(
            item="consumption_tax",
            section="tax",
            unit="percent",
            scale=PPM // 100,
            maximum=100,
            unknown=False,
        ),
        *(
            ItemKind(item=f"{t.lower()}_{f}", section="feature", unit="bool", maximum=1)
            for t in TYPES
            for f in FEATURES
        ),
        *(ItemKind(item=f"type_code_{t.lower()}", section="code", unit="code") for t in TYPES),
        ItemKind(item="rounding", section="rule", unit="policy", unknown=False),
    ]
    return {kind.item: kind for kind in kinds}


KINDS: dict[str, ItemKind] = _kinds()
