"""The generator's counts against the store's hourly metrics against the bill.

Owns: what must be equal, or within what bounds, and the words for what is not. Does not own: where
the figures come from (``loadrun``).

Where every request got an answer, all three agree exactly. Otherwise, column by column,
acknowledged ≤ stored ≤ acknowledged + unknown. Counts of refusals leave a gateway once a second: a
kill may lose them (``may_lose_refusals``), never count them twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from vpg.billing.month import bill_months
from vpg.rating.charges import rate_hours
from vpg.rating.hourly import COLUMNS, OUTCOMES, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadtests.result import Tally
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargePolicy, ChargeRow
    from vpg.rating.hourly import HourlyRow

_REFUSALS: Final = ("throttled", "no_session")
_SUMS: Final = tuple(column.name for column in COLUMNS if column.aggregate == "sum")
Key = tuple[str, int]
"""VPG and clock hour; hour 0: all hours of the load."""


class Compared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One figure, by the generator and by the store."""

    vpg_id: str
    hour_start_us: int
    """0: over all hours."""
    column: str
    acknowledged: int
    unknown: int
    """More that may be stored: requests without an answer."""
    stored: int
    lost: int
    """Acknowledged and not stored."""
    doubled: int
    """Stored above all that was sent."""

    @property
    def agrees(self) -> bool:
        """Whether nothing is lost and nothing counted twice."""
        return not (self.lost or self.doubled)


def growth(
    before: Iterable[HourlyRow], after: Iterable[HourlyRow], *, by_hour: bool
) -> dict[Key, Counter[str]]:
    """Return by how much every sum grew; by hour, or over all hours (0)."""
    grown: dict[Key, Counter[str]] = defaultdict(Counter)
    for rows, sign in ((after, 1), (before, -1)):
        for row in rows:
            sums = grown[row.vpg_id, row.hour_start_us if by_hour else 0]
            for name in _SUMS:
                value = getattr(row, name)
                if value:
                    sums[name] += sign * value
    return dict(grown)


def expected(tallies: Iterable[Tally], outcome: str) -> dict[Key, Counter[str]]:
    """Return what tallies of ``outcome`` say of the columns."""
    sums: dict[Key, Counter[str]] = defaultdict(Counter)
    for one in tallies:
        if one.outcome == outcome:
            into = sums[one.vpg_id, one.hour_start_us]
            into[f"{outcome}_{one.service}"] += one.requests
            if outcome in {"accepted", "unknown"}:
                into["bytes_up"] += one.bytes_up
                into["bytes_down"] += one.bytes_down
    return dict(sums)


def compare(
    tallies: Sequence[Tally],
    stored: Mapping[Key, Counter[str]],
    *,
    may_lose_refusals: bool = False,
    answer_bytes_known: bool = True,
) -> list[Compared]:
    """Return every figure of the load, generator beside store.

    ``answer_bytes_known``: whether unknown requests' answers had known lengths.
    """
    found: dict[Key, dict[str, Counter[str]]] = {}
    for outcome in (*OUTCOMES, "unknown"):
        found_here = expected(tallies, outcome)
        for key, sums in found_here.items():
            into = found.setdefault(key, {"known": Counter(), "unknown": Counter()})
            into["unknown" if outcome == "unknown" else "known"].update(sums)
    rows = []
    for key in sorted({*found, *stored}):
        known = found.get(key, {}).get("known", Counter())
        unknown = found.get(key, {}).get("unknown", Counter())
        sums = stored.get(key, Counter())
        rows += [
            _compared(
                key,
                column,
                known[column],
                _slack(column, unknown, answer_bytes_known=answer_bytes_known),
                sums[column],
                may_lose=may_lose_refusals and column.startswith(_REFUSALS),
            )
            for column in _columns(known, unknown, sums)
        ]
    return rows


def _columns(*sums: Counter[str]) -> list[str]:
    """Return the columns to compare: those of requests in which anything happened."""
    wanted = [f"{outcome}_{service}" for service in SERVICES for outcome in OUTCOMES]
    wanted += ["bytes_up", "bytes_down"]
    seen = {name for one in sums for name, value in one.items() if value}
    unknown = {name.partition("_")[2] for name in seen if name.startswith("unknown_")}
    more = {f"{outcome}_{service}" for service in unknown for outcome in OUTCOMES}
    return [name for name in wanted if name in seen | more]


def _slack(column: str, unknown: Counter[str], *, answer_bytes_known: bool) -> int:
    """Return how much more than acknowledged may be stored."""
    if column == "bytes_down" and unknown and not answer_bytes_known:
        return 1_000_000 * sum(n for name, n in unknown.items() if name.startswith("unknown_"))
    if column in {"bytes_up", "bytes_down"}:
        return unknown[column]
    return unknown[f"unknown_{column.rpartition('_')[2]}"]


def _compared(
    key: Key, column: str, known: int, unknown: int, stored: int, *, may_lose: bool
) -> Compared:
    return Compared(
        vpg_id=key[0],
        hour_start_us=key[1],
        column=column,
        acknowledged=known,
        unknown=unknown,
        stored=stored,
        lost=0 if may_lose else max(0, known - stored),
        doubled=max(0, stored - known - unknown),
    )


def summed(rows: Iterable[Compared]) -> list[Compared]:
    """Return ``rows`` over all hours, for people; a difference in one hour stays one."""
    sums: dict[tuple[str, str], Compared] = {}
    for row in rows:
        key = row.vpg_id, row.column
        before = sums.get(key)
        if before is None:
            sums[key] = msgspec.structs.replace(row, hour_start_us=0)
            continue
        sums[key] = msgspec.structs.replace(
            before,
            acknowledged=before.acknowledged + row.acknowledged,
            unknown=before.unknown + row.unknown,
            stored=before.stored + row.stored,
            lost=before.lost + row.lost,
            doubled=before.doubled + row.doubled,
        )
    return list(sums.values())


# ---- the bill ------------------------------------------------------------------------------------


class BillCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the service's charges and bill follow from its hourly metrics."""

    month: str
    charges: int
    """Rows: VPG, hour and item."""
    tax_excluded_micro_yen: int
    """Sum of the charges."""
    differences: tuple[Literal["hours", "charges", "items"], ...]
    """``hours``: some VPG's hour is not charged; ``charges``: they are not those of the hourly
    metrics; ``items``: the bill's lines are not the sum of the charges. Empty: all agrees."""
    rated_again: bool
    """Whether the charges were reckoned anew from the hourly metrics: only by a known scenario."""


def check_bill(
    month: str,
    rows: Sequence[HourlyRow],
    charges: Sequence[ChargeRow],
    lines: Sequence[Mapping[str, Any]],
    *,
    catalogue: Catalogue,
    policy: ChargePolicy | None,
) -> BillCheck:
    """Compare one month's charges with its hours, and the ``lines`` of its bill with them."""
    differences: list[Literal["hours", "charges", "items"]] = []
    owed = {(row.vpg_id, row.hour_start_us) for row in rows if row.vpg_exists}
    billed = [
        (row.vpg_id, row.hour_start_us)
        for row in charges
        if row.bill_item.startswith("vpg_") and row.quantity == 1
    ]
    if not owed <= set(billed):
        differences.append("hours")
    if policy is not None and rate_hours(rows, catalogue, policy) != list(charges):
        differences.append("charges")
    made = bill_months(charges, catalogue, "monthly_total")
    mine = Counter(
        {
            (item.vpg_id, item.bill_item, item.unit_price_micro_yen, item.amount_micro_yen): (
                item.quantity
            )
            for one in made.months
            for item in one.items
        }
    )
    theirs = Counter(
        {
            (
                item["vpgId"],
                item["billItemName"],
                item["unitPriceMicroYen"],
                item["amountMicroYen"],
            ): item["quantity"]
            for item in lines
            if not item["correctsMonth"]
        }
    )
    if mine != theirs:
        differences.append("items")
    return BillCheck(
        month=month,
        charges=len(charges),
        tax_excluded_micro_yen=sum(one.tax_excluded_micro_yen for one in made.months),
        differences=tuple(differences),
        rated_again=policy is not None,
    )
