"""Prices of what is counted over a month: a free tier, then steps of the unit price.

Owns: what a ``[[usage]]`` row may say beside its first price, and how a quantity falls into the
steps. Does not own: counting the use (``vpg.rating.usage``). Money is integer micro-yen for one
unit, tax excluded; quantities are whole units of one rating month.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from vpg.catalogue.items import REQUEST_ITEMS, ItemKind

if TYPE_CHECKING:
    from collections.abc import Callable

    Note = Callable[..., None]

Per = Literal["account", "line"]
PERS: tuple[Per, ...] = ("account", "line")
SCALE_KEYS = ("free", "per", "legs", "tiers")
TIER_KEYS = ("above", "value")
TIERS_MAX = 8
LEGS_MAX = 2
QUANTITY_MAX = 10**12
"""More than a million requests a second all month, for every account there is."""


class Tier(NamedTuple):
    """Units of the month beyond the ``above``-th cost ``micro_yen`` each."""

    above: int
    micro_yen: int


class Part(NamedTuple):
    """``quantity`` units of the month in one step of the price; ``None`` = unpriced."""

    bill_item: str
    quantity: int
    micro_yen: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How the unit price of one item follows the quantity of a rating month."""

    free: int = 0
    """Units of the month that cost nothing."""
    per: Per = "account"
    """Whose units are counted together: all of the account's, or each line's apart."""
    legs: int = 1
    """Requests that one admitted attempt counts as: 2 where both legs of Beam count."""
    tiers: tuple[Tier, ...] = ()
    """Further prices, ascending; ``above`` counts every unit of the month, free ones too."""

    def split(self, item: str, first_micro_yen: int, before: int, quantity: int) -> list[Part]:
        """Return the steps that units ``before`` + 1 … ``before`` + ``quantity`` fall into.

        The free step is named ``<item>_free``, the first price ``<item>``, the next
        ``<item>_tier2`` and so on, so that a bill shows what each unit cost.

        >>> scale = Scale(free=100, tiers=(Tier(1_000, 5),))
        >>> [tuple(part) for part in scale.split("r", 9, 90, 1_000)]
        [('r_free', 10, 0), ('r', 900, 9), ('r_tier2', 90, 5)]
        """
        steps = [(f"{item}_free", 0, 0), (item, self.free, first_micro_yen)]
        for number, tier in enumerate(self.tiers, start=2):
            steps.append((f"{item}_tier{number}", tier.above, tier.micro_yen))
        ends = [*(step[1] for step in steps[1:]), before + quantity]
        parts = []
        for (name, begin, price), end in zip(steps, ends, strict=True):
            units = min(end, before + quantity) - max(begin, before)
            if units > 0:
                parts.append(Part(name, units, price))
        return parts


def read_scale(kind: ItemKind, own: dict[str, Any], note: Note) -> Scale:
    """Return what the row ``own`` says about free units and steps; ``note`` takes each mistake.

    ``note(code, key, **values)`` is called for every key that cannot be used.
    """
    free = _whole(own, "free", 0, QUANTITY_MAX, note)
    per = own.get("per", "account")
    if per not in PERS:
        note("VPG1107", "per", value=per, allowed=", ".join(PERS))
        per = "account"
    legs = _whole({"legs": 1} | own, "legs", 1, LEGS_MAX, note)
    if kind.item not in REQUEST_ITEMS:
        for key in ("per", "legs"):
            if key in own:
                note("VPG1117", key, name=key, item=kind.item)
    return Scale(free=free, per=per, legs=legs, tiers=_tiers(kind, own, free, note))


def _whole(own: dict[str, Any], key: str, least: int, most: int, note: Note) -> int:
    value = own.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        note("VPG1107", key, value=value, allowed=f"{least} … {most}")
        return least
    return value


def _tiers(kind: ItemKind, own: dict[str, Any], free: int, note: Note) -> tuple[Tier, ...]:
    given = own.get("tiers", [])
    shape = "[{above = 1000000, value = 0.5}, …]"
    if not isinstance(given, list) or len(given) > TIERS_MAX:
        note("VPG1107", "tiers", value=given, allowed=f"{shape} (0 … {TIERS_MAX})")
        return ()
    tiers: list[Tier] = []
    before = free
    for one in given:
        if not isinstance(one, dict) or set(one) != set(TIER_KEYS):
            note("VPG1107", "tiers", value=one, allowed=shape)
            continue
        above = _whole(one, "above", 1, QUANTITY_MAX, _named(note, "tiers"))
        price = price_micro_yen(one["value"], kind)
        if price is None:
            step = f"0 … {kind.maximum}, {Decimal(1) / kind.scale:f}"
            note("VPG1107", "tiers", value=one["value"], allowed=step)
        elif above <= before:
            note("VPG1118", "tiers", value=above, before=before)
        else:
            tiers.append(Tier(above, price))
        before = max(before, above)
    return tuple(tiers)


def _named(note: Note, key: str) -> Note:
    """Return ``note`` that puts every mistake at ``key``, where a person finds it."""

    def noted(code: str, _inner: str, **values: object) -> None:
        note(code, key, **values)

    return noted


def price_micro_yen(value: object, kind: ItemKind) -> int | None:
    """Return a price as a person wrote it in micro-yen; ``None`` when it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    exact = Decimal(value)
    if not exact.is_finite() or not kind.minimum <= exact <= kind.maximum:
        return None
    kept = exact * kind.scale
    return int(kept) if kept == int(kept) else None
