"""Sums of lines and their one rounding.

Owns: where a fraction of a yen or cent is rounded up (A-15), groups of one tax rate. Does not own:
what the lines are. Money: exact integers; the finest is ``micro * ppm``, so tax needs no fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.billing.lines import MINOR_MICRO, thing_of
from vpg.billing.model import TaxGroup
from vpg.billing.money import round_up
from vpg.catalogue.items import PPM

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from vpg.billing.model import Currency, InvoiceLine, TaxClass
    from vpg.billing.policy import Rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What lines add up to; ``tax_minor`` is the difference of the two whole sums."""

    tax_excluded_micro: int
    tax_included_micro_ppm: int
    """Exact sum with tax, in millionths of a micro unit."""
    tax_excluded_minor: int
    tax_included_minor: int
    coupon_barred_minor: int
    """What no coupon may pay of ``tax_included_minor``, rounded up."""

    @property
    def tax_minor(self) -> int:
        """Return the tax as the document states it."""
        return self.tax_included_minor - self.tax_excluded_minor


def _month(_line: InvoiceLine) -> Hashable:
    return None


def _item(line: InvoiceLine) -> Hashable:
    return line.kind, thing_of(line), line.item, line.month


def _day(line: InvoiceLine) -> Hashable:
    return line.day


_PART_OF: dict[Rounding, Callable[[InvoiceLine], Hashable]] = {
    "monthly_total": _month,
    "per_item": _item,
    "per_day": _day,
}


def with_tax_micro_ppm(line: InvoiceLine) -> int:
    """Return a line's exact amount with tax in millionths of a micro unit; 0 without a price."""
    return (line.amount_micro or 0) * (PPM + line.tax_ppm)


def sums(lines: Iterable[InvoiceLine], rounding: Rounding, currency: Currency) -> Sums:
    """Return the sums of ``lines``, all in ``currency``.

    ``monthly_total``: tax is added to the sum of the month and the result rounded up once (seed 1,
    general rules 2 and 5; support page 360050017712). ``per_item`` and ``per_day`` round each bill
    item or billing day; lines that are of no day count as one.
    """
    part_of = _PART_OF[rounding]
    excluded: dict[Hashable, int] = {}
    included: dict[Hashable, int] = {}
    barred = 0
    for line in lines:
        part, taxed = part_of(line), with_tax_micro_ppm(line)
        excluded[part] = excluded.get(part, 0) + (line.amount_micro or 0)
        included[part] = included.get(part, 0) + taxed
        barred += 0 if line.coupon_allowed else taxed
    unit = MINOR_MICRO[currency]
    total = sum(round_up(value, unit * PPM) for value in included.values())
    return Sums(
        tax_excluded_micro=sum(excluded.values()),
        tax_included_micro_ppm=sum(included.values()),
        tax_excluded_minor=sum(round_up(value, unit) for value in excluded.values()),
        tax_included_minor=total,
        coupon_barred_minor=max(0, min(total, round_up(barred, unit * PPM))),
    )


def tax_groups(lines: Sequence[InvoiceLine]) -> tuple[TaxGroup, ...]:
    """Return the exact sums of each tax class and rate, dearest rate first."""
    amounts: dict[tuple[TaxClass, int], int] = {}
    for line in lines:
        key = (line.tax_class, line.tax_ppm)
        amounts[key] = amounts.get(key, 0) + (line.amount_micro or 0)
    return tuple(
        TaxGroup(tax_class=name, tax_ppm=ppm, amount_micro=amounts[name, ppm])
        for name, ppm in sorted(amounts, key=lambda key: (-key[1], key[0]))
    )
