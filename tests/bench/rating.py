"""A month of a thousand VPGs, rated and billed: whole columns against a loop of Decimals.

Both begin with the month's hourly metrics in memory, in the shape each likes best (columns; plain
tuples), and end with what each VPG owes for each item and the taxed total of the month. They
alternate in one process, and must agree on every item to the yen.
"""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.bench.figures import Figure, check
from vpg.billing.month import bill_months
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargePolicy
from vpg.rating.columns import ADMITTED, KINDS, NUMBERS, HourlyColumns, rate_columns
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.figures import Options
    from vpg.catalogue.model import Catalogue

APRIL_2026_US = 1_775_001_600_000_000
HOURS = 720
RATIO_MIN = 20.0
SEED = 20260401
SIZED = [place for place, (_, size) in enumerate(KINDS) if size]

Row = tuple[str, int, str, int, int, int, int, int, int, int]
"""What the loop reads: VPG, hour, item, Peering, VIF, VPN, Junction, inspection, lines, fixed IP"""


@dataclass(frozen=True, slots=True)
class Billed:
    """What either way must find."""

    items: dict[tuple[str, str], tuple[int, Decimal]]
    tax_included_yen: int


def month(vpgs: int) -> HourlyColumns:
    """Return the hourly metrics of ``vpgs`` VPGs of every type and size with some of each extra."""
    dice = np.random.default_rng(SEED)
    rows = vpgs * HOURS

    def each(most: int) -> Any:
        return np.repeat(dice.integers(0, most + 1, vpgs), HOURS)

    numbers = {name: np.zeros(rows, np.int64) for name in (*NUMBERS, *ADMITTED)}
    inspection = each(1)
    numbers |= {
        "hour_start_us": np.tile(APRIL_2026_US + HOUR_US * np.arange(HOURS), vpgs),
        "vpg_exists": np.ones(rows, np.int64),
        "peering_peak": each(3),
        "vif_peak": each(1),
        "vpn_peak": each(1),
        "junction_on": np.maximum(each(1), inspection),
        "inspection_on": inspection,
        "lines_inspected": inspection * dice.integers(0, 10_001, rows),
        "fixed_ip_sets": each(1),
    }
    return HourlyColumns(
        vpg_ids=tuple(f"vpg-{number:04}" for number in range(vpgs)),
        vpg=np.repeat(np.arange(vpgs), HOURS),
        kind=np.repeat(dice.choice(SIZED, vpgs), HOURS),
        numbers=numbers,
        one_off={},
    )


def plain_rows(columns: HourlyColumns) -> list[Row]:
    """Return the same hours as tuples, which a loop reads fastest."""
    names = NUMBERS[3:]
    items = [f"vpg_{kind.lower()}_{size}" for kind, size in KINDS]
    return list(
        zip(
            [columns.vpg_ids[place] for place in columns.vpg.tolist()],
            columns.numbers["hour_start_us"].tolist(),
            [items[place] for place in columns.kind.tolist()],
            *(columns.numbers[name].tolist() for name in names),
            strict=True,
        )
    )


def by_columns(columns: HourlyColumns, catalogue: Catalogue) -> Billed:
    """Rate and bill with the product."""
    charges = rate_columns(columns, catalogue, ChargePolicy())
    bill = bill_months(charges.summed(), catalogue, "monthly_total")
    items = {
        (one.vpg_id, one.bill_item): (one.quantity, Decimal(one.amount_micro_yen or 0) / 1_000_000)
        for one in bill.months[0].items
    }
    return Billed(items, bill.tax_included_yen)


def by_loop(rows: list[Row], yen: dict[str, Decimal], tax: Decimal) -> Billed:
    """Rate and bill hour by hour, as a script without NumPy would."""
    quantities: dict[tuple[str, str], int] = {}
    amounts: dict[tuple[str, str], Decimal] = {}
    for vpg_id, _, base, peering, vif, vpn, junction, inspection, lines, fixed_ip in rows:
        for item, quantity in (
            (base, 1),
            ("peering", max(0, peering - 1)),
            ("vif", max(0, vif - (0 if peering else 1))),
            ("vpn", max(0, vpn - (0 if peering or vif else 1))),
            ("junction_base", junction),
            ("junction_inspection", max(1, -(-lines // 10_000)) if inspection else 0),
            ("fixed_ip", fixed_ip),
        ):
            if quantity:
                key = (vpg_id, item)
                quantities[key] = quantities.get(key, 0) + quantity
                amounts[key] = amounts.get(key, Decimal()) + yen[item] * quantity
    total = sum(amounts.values(), Decimal()) * (1 + tax)
    included_yen = int(total.to_integral_value(ROUND_CEILING))
    return Billed({key: (quantities[key], amounts[key]) for key in amounts}, included_yen)


def rating(options: Options) -> Iterator[Figure]:
    """Alternate the two ways over one month."""
    vpgs = 20 if options.short else 1_000
    catalogue = load_catalogue()
    columns = month(vpgs)
    rows = plain_rows(columns)
    count = len(rows)
    names = {item for _, _, item, *_ in rows[::HOURS]}
    names |= {"peering", "vif", "vpn", "junction_base", "junction_inspection", "fixed_ip"}
    prices = {name: catalogue.price_micro_yen(name, APRIL_2026_US) for name in names}
    yen = {name: Decimal(price or 0) / 1_000_000 for name, price in prices.items()}
    took: dict[str, list[float]] = {"columns": [], "loop": []}
    # A first, unmeasured round fills caches; then A, B, A, B.
    for number in range(options.runs + 1):
        gc.collect()
        begun_s = time.perf_counter()
        ours = by_columns(columns, catalogue)
        between_s = time.perf_counter()
        loops = by_loop(rows, yen, Decimal("0.1"))
        ended_s = time.perf_counter()
        check(ours == loops, f"{count} rows: the bills differ")
        if number:
            took["columns"].append(between_s - begun_s)
            took["loop"].append(ended_s - between_s)
    ratios = [loop / ours_s for ours_s, loop in zip(took["columns"], took["loop"], strict=True)]
    for name, text in (("columns", "rating and bill, columns"), ("loop", "the same, Decimal loop")):
        yield Figure(
            name=f"{text}, {vpgs:,} VPGs, {count:,} hours",
            value=statistics.median(count / seconds for seconds in took[name]),
            unit="rows/s",
            runs=options.runs,
        )
    yield Figure(
        name="ratio rating and bill, columns / Decimal loop",
        value=statistics.median(ratios),
        unit="",
        runs=options.runs,
        at_least=options.goal(RATIO_MIN),
    )
