"""What limits and prices are in force at an instant, each with its provenance.

Owns: the look-up by item and time. Does not own: reading tables (``load``), the arithmetic of a
bill (``vpg.rating``, ``vpg.billing``). Times: every ``at_us`` is ``SimUs``; effective dates are
days in JST and begin at 00:00 JST. Money is in integer micro-yen, tax excluded.
"""

from __future__ import annotations

import bisect
import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.catalogue.items import BILL_ITEMS, KINDS, base_item, suffix, type_items
from vpg.errors import InputError, Problem, ensure
from vpg.timebase import JST, from_datetime, iso_jst

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vpg.catalogue.scales import Scale

CATALOGUE_SCHEMA = "vpgsim-catalogue-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps of one VPG; ``None`` is uncapped (no figure is known), which callers must report."""

    lines_max: int | None
    rate_per_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One figure from one day on.

    ``value``: micro-yen (price), ppm (tax), count, 0/1 (feature); ``None`` = not known. ``choice``
    holds the value of items that are a word (rounding). ``valid_until`` is the last day in force,
    ``None`` = until the next entry. ``retrieved`` is the day the source was read; ``None`` only in
    a user's own table.
    """

    item: str
    value: int | None
    unit: str
    effective_from: dt.date
    valid_until: dt.date | None
    source: str
    retrieved: dt.date | None
    confidence: str
    note: str
    table: str
    choice: str = ""
    scale: Scale | None = None
    """Free units and price steps of what is counted over a month; ``None`` for all else."""


def day_start_us(day: dt.date) -> int:
    """Return the instant at which ``day`` begins in JST."""
    return from_datetime(dt.datetime(day.year, day.month, day.day, tzinfo=JST))


def day_after_us(day: dt.date) -> int:
    """Return the instant at which ``day`` ends in JST; tables hold no day beyond 9999-12-30."""
    return day_start_us(day + dt.timedelta(days=1))


def _scale_cells(scale: Scale | None) -> tuple[str, ...]:
    """Return what a scale adds to the digest: nothing where there is none."""
    if scale is None:
        return ()
    tiers = (f"{tier.above}:{tier.micro_yen}" for tier in scale.tiers)
    return (str(scale.free), scale.per, str(scale.legs), *tiers)


class Catalogue:
    """Every figure by item and effective date; immutable after construction."""

    __slots__ = ("_entries", "_starts", "id", "sha256")

    def __init__(self, *, catalogue_id: str, timeline: Mapping[str, Sequence[Entry]]) -> None:
        """Keep ``timeline``: for each item its entries in order of ``effective_from``."""
        self.id = catalogue_id
        """Names of the tables that make it up, joined by ``+``."""
        self._entries = {item: tuple(timeline[item]) for item in sorted(timeline)}
        self._starts = {
            item: [day_start_us(e.effective_from) for e in rows]
            for item, rows in self._entries.items()
        }
        self.sha256 = self._digest()
        """SHA-256 (hex) over every entry, provenance included; equal only for equal catalogues."""

    def _digest(self) -> str:
        sha = hashlib.sha256(f"{CATALOGUE_SCHEMA}\n".encode())
        for entry in self.entries():
            cells = (
                entry.item,
                "" if entry.value is None else str(entry.value),
                entry.choice,
                entry.unit,
                entry.effective_from.isoformat(),
                entry.valid_until.isoformat() if entry.valid_until else "",
                entry.source,
                entry.retrieved.isoformat() if entry.retrieved else "",
                entry.confidence,
                entry.note,
                *_scale_cells(entry.scale),
            )
            sha.update(
                ("\t".join(cell.encode("unicode_escape").decode() for cell in cells)).encode()
            )
            sha.update(b"\n")
        return sha.hexdigest()

    def entries(self) -> tuple[Entry, ...]:
        """Return every entry, sorted by item and date."""
        return tuple(entry for rows in self._entries.values() for entry in rows)

    def find(self, item: str, at_us: int) -> Entry | None:
        """Return the entry of ``item`` in force at ``at_us``, or ``None``."""
        ensure(item in KINDS, f"{item} is a catalogue item")
        place = bisect.bisect_right(self._starts.get(item, []), at_us) - 1
        if place < 0:
            return None
        entry = self._entries[item][place]
        if entry.valid_until is not None and at_us >= day_after_us(entry.valid_until):
            return None
        return entry

    def entry(self, item: str, at_us: int) -> Entry:
        """Return the entry of ``item`` in force at ``at_us``; raises ``InputError`` if none is."""
        found = self.find(item, at_us)
        if found is None:
            raise InputError([self._absent(item, at_us)])
        return found

    def limits(self, vpg_type: str, size: str, at_us: int) -> Limits:
        """Return the caps of a VPG; raises ``InputError`` when no table covers ``at_us``."""
        end = suffix(vpg_type, size)
        return Limits(
            lines_max=self.entry(f"lines_max_{end}", at_us).value,
            rate_per_s=self.entry(f"rate_per_s_{end}", at_us).value,
        )

    def limit_changes(self, begin_us: int, end_us: int) -> tuple[int, ...]:
        """Return the instants inside (begin_us, end_us) at which any limit may change."""
        limits = (name for name in self._starts if name.startswith(("lines_max_", "rate_per_s_")))
        starts = {start_us for name in limits for start_us in self._starts[name]}
        return tuple(sorted(at_us for at_us in starts if begin_us < at_us < end_us))

    def price_micro_yen(self, item: str, at_us: int) -> int | None:
        """Return the tax-excluded price of a bill item in micro-yen; ``None`` = unpriced."""
        ensure(item in BILL_ITEMS, f"{item} is a bill item")
        found = self.find(item, at_us)
        return None if found is None else found.value

    def prices_usage(self, group: Iterable[str]) -> bool:
        """Return whether any table, of any date, speaks of the price of an item of ``group``."""
        return any(item in self._entries for item in group)

    def changes(self, item: str, begin_us: int, end_us: int) -> tuple[int, ...]:
        """Return the instants inside (begin_us, end_us) at which a figure may change or end."""
        rows = self._entries.get(item, ())
        moments = {day_start_us(entry.effective_from) for entry in rows}
        moments |= {day_after_us(entry.valid_until) for entry in rows if entry.valid_until}
        return tuple(sorted(at_us for at_us in moments if begin_us < at_us < end_us))

    def base_price_micro_yen(self, vpg_type: str, size: str, at_us: int) -> int | None:
        """Return the price of one hour of a VPG in micro-yen; ``None`` = unpriced."""
        return self.price_micro_yen(base_item(vpg_type, size), at_us)

    def count(self, item: str, at_us: int) -> int | None:
        """Return a limit as a plain number; ``None`` when not known or not in force."""
        found = self.find(item, at_us)
        return None if found is None else found.value

    def tax_ppm(self, at_us: int) -> int:
        """Return the consumption tax rate in ppm; raises ``InputError`` if none is in force."""
        rate = self.entry("consumption_tax", at_us).value
        ensure(rate is not None, "a tax entry has a rate")
        return rate or 0

    def rounding(self, at_us: int) -> str:
        """Return the rounding policy the terms are read with (A-15)."""
        return self.entry("rounding", at_us).choice

    def allows(self, vpg_type: str, feature: str) -> bool:
        """Return whether a type may have a feature; what no document settles is not forbidden.

        The newest entry decides: a feature matrix has no history in the terms.
        """
        rows = self._entries.get(f"{vpg_type.lower()}_{feature}", ())
        ensure(f"{vpg_type.lower()}_{feature}" in KINDS, f"{feature} is a feature")
        return not rows or rows[-1].value != 0

    def type_code(self, vpg_type: str) -> int | None:
        """Return the ``type`` code of the provider's API; ``None`` where it has none (Type-G)."""
        rows = self._entries.get(f"type_code_{vpg_type.lower()}", ())
        return rows[-1].value if rows else None

    def coverage(
        self, *, start_us: int, end_us: int, items: Iterable[str], at: Iterable[int] = ()
    ) -> list[Problem]:
        """Return a problem for each of ``items`` without an entry somewhere in [start, end).

        A table that ended before the period, or begins inside it, is stale for it. ``at`` are
        further instants that need a tax rate (first instants of rating months).
        """
        problems = []
        for item in items:
            gap = self._first_gap_us(item, start_us, end_us)
            if gap is not None:
                problems.append(self._absent(item, gap))
        problems.extend(
            self._absent("consumption_tax", moment)
            for moment in at
            if self.find("consumption_tax", moment) is None
        )
        return problems

    def coverage_of(
        self, *, start_us: int, end_us: int, vpgs: Iterable[tuple[str, str]]
    ) -> list[Problem]:
        """Return a problem for each figure that these (type, size) need and no table gives."""
        items = sorted({item for kind in vpgs for item in type_items(*kind)})
        return self.coverage(start_us=start_us, end_us=end_us, items=items)

    def _first_gap_us(self, item: str, start_us: int, end_us: int) -> int | None:
        if self.find(item, start_us) is None:
            return start_us
        for entry in self._entries[item]:
            if entry.valid_until is not None:
                ended = day_after_us(entry.valid_until)
                if start_us < ended < end_us and self.find(item, ended) is None:
                    return ended
        return None

    def _absent(self, item: str, at_us: int) -> Problem:
        rows = self._entries.get(item, ())
        before = [e for e in rows if day_start_us(e.effective_from) <= at_us]
        if before:
            last = before[-1]
            ended = last.valid_until.isoformat() if last.valid_until else ""
            values = {"item": item, "at": iso_jst(at_us), "ended": ended, "table": last.table}
            return Problem(code="VPG1120", path=item, values=values)
        first = rows[0].effective_from.isoformat() if rows else "-"
        values = {"item": item, "at": iso_jst(at_us), "first": first}
        return Problem(code="VPG1121", path=item, values=values)
