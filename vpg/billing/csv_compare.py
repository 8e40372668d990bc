"""Two bills row by row: what was computed, what a provider's CSV says, and why they differ.

Owns: which rows belong together, and the split of each difference into its reasons. Does not own:
reading a CSV (``csv_detail``), words for people. Money: ``*_pico`` is 10^-12 of the currency; the
reasons' parts of a difference add up to it exactly, and the differences to that of the totals.

Reasons, each with its part of ``actual - computed``:

* ``missing``: computed, but not in the CSV; ``extra``: the other way round (item or thing);
* ``quantity``: other hours, or units, at the computed price;
* ``price``: another price for the actual quantity; ``unpriced``: one side knows no price;
* ``rounding``: the CSV's amount is less than one of the smallest unit (1 yen, 0.01 USD) away from
  its own price times quantity; ``amount``: it is further away.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from vpg.billing.csv_cells import MICRO_PICO
from vpg.billing.csv_detail import DetailRow
from vpg.billing.lines import MINOR_MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpg.billing.model import Currency

Why = Literal["missing", "extra", "quantity", "price", "unpriced", "rounding", "amount"]
Grain = Literal["day", "month"]
_MONTH_DIGITS = 6


class Reason(NamedTuple):
    """One reason and its part of a difference."""

    why: Why
    pico: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two rows that should be equal; ``None``: there is none on that side."""

    computed: DetailRow | None
    actual: DetailRow | None
    reasons: tuple[Reason, ...]

    @property
    def pico(self) -> int:
        """Return by how much the CSV asks for more (less: negative)."""
        return sum(reason.pico for reason in self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A computed month beside a provider's CSV; tax excluded."""

    currency: Currency
    grain: Grain
    """``month``: the CSV has no day at all, so computed days were summed."""
    rows_equal: int
    differences: tuple[Difference, ...]
    computed_pico: int
    actual_pico: int

    @property
    def equal(self) -> bool:
        """Return whether nothing differs."""
        return not self.differences


def compare(
    computed: Sequence[DetailRow], actual: Sequence[DetailRow], currency: Currency
) -> Comparison:
    """Return how ``actual`` differs from ``computed``; tags are not compared.

    Rows of one thing, date and item belong together: those of one price first, then the others in
    order of their prices.
    """
    by_day = any(len(row.date) > _MONTH_DIGITS for row in actual)
    grain: Grain = "day" if by_day else "month"
    left = _rows(computed, grain)
    right = _rows(actual, grain)
    equal = 0
    differences = []
    for key in sorted({*left, *right}):
        for ours, theirs in _pairs(left.get(key, []), right.get(key, [])):
            reasons = _reasons(ours, theirs, MINOR_MICRO[currency] * MICRO_PICO)
            if reasons:
                differences.append(Difference(computed=ours, actual=theirs, reasons=reasons))
            else:
                equal += 1
    return Comparison(
        currency=currency,
        grain=grain,
        rows_equal=equal,
        differences=tuple(differences),
        computed_pico=sum(row.amount_pico or 0 for row in computed),
        actual_pico=sum(row.amount_pico or 0 for row in actual),
    )


Key = tuple[tuple[tuple[str, str], ...], str, str]


def _rows(rows: Iterable[DetailRow], grain: Grain) -> dict[Key, list[DetailRow]]:
    """Return the rows by what they are about; those alike in price (and tags apart) summed."""
    summed: dict[tuple[Key, int | None], DetailRow] = {}
    for row in rows:
        date = row.date if grain == "day" else row.date[:_MONTH_DIGITS]
        key = ((row.things, date, row.item), row.unit_price_pico)
        before = summed.get(key)
        amount = row.amount_pico
        if before is not None:
            amount = None if amount is None else amount + (before.amount_pico or 0)
        summed[key] = DetailRow(
            things=row.things,
            date=date,
            item=row.item,
            unit_price_pico=row.unit_price_pico,
            quantity=row.quantity + (before.quantity if before else 0),
            amount_pico=amount,
            line=before.line if before else row.line,
        )
    grouped: dict[Key, list[DetailRow]] = defaultdict(list)
    for (about, _), row in summed.items():
        grouped[about].append(row)
    return grouped


def _pairs(
    ours: Sequence[DetailRow], theirs: Sequence[DetailRow]
) -> list[tuple[DetailRow | None, DetailRow | None]]:
    """Return which rows of one thing, date and item belong together."""
    prices = {row.unit_price_pico: row for row in theirs}
    pairs: list[tuple[DetailRow | None, DetailRow | None]] = []
    left = []
    for row in sorted(ours, key=_price):
        same = prices.pop(row.unit_price_pico, None)
        if same is None:
            left.append(row)
        else:
            pairs.append((row, same))
    right = sorted(prices.values(), key=_price)
    both = min(len(left), len(right))
    pairs += zip(left[:both], right[:both], strict=True)
    pairs += [(row, None) for row in left[both:]]
    pairs += [(None, row) for row in right[both:]]
    return pairs


def _price(row: DetailRow) -> tuple[bool, int]:
    return row.unit_price_pico is None, row.unit_price_pico or 0


def _reasons(
    ours: DetailRow | None, theirs: DetailRow | None, minor_pico: int
) -> tuple[Reason, ...]:
    """Return why two rows differ; none when they are equal."""
    if theirs is None:
        return (Reason("missing", -((ours.amount_pico or 0) if ours else 0)),)
    if ours is None:
        return (Reason("extra", theirs.amount_pico or 0),)
    price, asked = ours.unit_price_pico, theirs.unit_price_pico
    reasons = []
    if price is None or asked is None:
        if price != asked:
            reasons.append(Reason("unpriced", (theirs.amount_pico or 0) - (ours.amount_pico or 0)))
        if ours.quantity != theirs.quantity:
            reasons.append(Reason("quantity", 0))
        return tuple(reasons)
    if ours.quantity != theirs.quantity:
        reasons.append(Reason("quantity", (theirs.quantity - ours.quantity) * price))
    if price != asked:
        reasons.append(Reason("price", theirs.quantity * (asked - price)))
    rest = (theirs.amount_pico or 0) - theirs.quantity * asked
    if rest:
        reasons.append(Reason("rounding" if abs(rest) < minor_pico else "amount", rest))
    return tuple(reasons)
