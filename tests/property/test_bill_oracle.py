"""The bill of a run against the clerk's (``billing_oracle_use``), and how hours may be told."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_rating import utc_us
from tests.validation.billing_oracle_use import YEN_ONCE, Prices, hourly
from vpg.billing.month import Bill, bill_months, month_to_date
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargePolicy, charges_digest, rate_hours
from vpg.rating.hourly import HourlyRow
from vpg.timebase import HOUR_US

KINDS = [(kind, size) for kind in "CD" for size in ("small", "medium", "large")]
CATALOGUE = load_catalogue()
ROUNDINGS = ("monthly_total", "per_item", "per_day")
# A stretch of hours around a month's turn: the last of March and the first of April, in UTC.
FIRST_US = utc_us(2026, 3, 31, 20)

POLICIES = st.builds(
    ChargePolicy,
    included_connection=st.sampled_from(["one_in_total", "one_of_each"]),
    inspection=st.sampled_from(["per_started_10000", "first_10000"]),
    junction_inspection=st.sampled_from(["additive", "inspection_only"]),
    resize_hour=st.sampled_from(["both", "dearer"]),
)
CELLS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "vpg_exists": st.sampled_from([1, 1, 1, 0]),
        "kind": st.sampled_from(KINDS),
        "peering_peak": st.integers(0, 3),
        "vif_peak": st.integers(0, 2),
        "vpn_peak": st.integers(0, 2),
        "junction_on": st.integers(0, 1),
        "inspection_on": st.integers(0, 1),
        "lines_inspected": st.sampled_from([0, 1, 9_999, 10_000, 10_001, 35_000]),
        "fixed_ip_sets": st.integers(0, 2),
        "one_off": st.lists(st.sampled_from(sorted(YEN_ONCE)), max_size=2).map(",".join),
    }
)


@st.composite
def hourly_rows(draw: st.DrawFn) -> list[HourlyRow]:
    """Draw rows of one to three VPGs in some of twelve hours, up to three rows an hour."""
    rows = []
    for vpg_id in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)):
        for hour in draw(st.lists(st.integers(0, 11), max_size=5, unique=True)):
            for seq, cells in enumerate(draw(st.lists(CELLS, min_size=1, max_size=3))):
                vpg_type, size = cells.pop("kind")
                start = FIRST_US + hour * HOUR_US
                more: dict[str, Any] = {"vpg_id": vpg_id, "hour_start_us": start, "config_seq": seq}
                rows.append(HourlyRow(type=vpg_type, size=size, **cells, **more))
    return rows


def _oracle(
    rows: list[HourlyRow], policy: ChargePolicy, rounding: str
) -> dict[str, tuple[int, int]]:
    """Return month → (tax-excluded yen, tax-included yen)."""
    parts: dict[str, dict[object, Fraction]] = {}
    for charge in hourly(rows, Prices(), policy):
        part = {
            "monthly_total": "",
            "per_item": (charge.vpg_id, charge.item),
            "per_day": charge.hour.day,
        }[rounding]
        month = parts.setdefault(charge.hour.strftime("%Y%m"), {})
        month[part] = month.get(part, Fraction()) + (charge.yen_each or 0) * charge.quantity
    return {
        month: (
            sum(math.ceil(yen) for yen in own.values()),
            sum(math.ceil(yen * Fraction(11, 10)) for yen in own.values()),
        )
        for month, own in parts.items()
    }


def _by_month(bill: Bill) -> dict[str, tuple[int, int]]:
    return {m.month: (m.tax_excluded_yen, m.tax_included_yen) for m in bill.months}


@pytest.mark.parametrize("rounding", ROUNDINGS)
@given(rows=hourly_rows(), policy=POLICIES)
def test_the_bill_is_the_clerks_bill(
    rounding: Any, rows: list[HourlyRow], policy: ChargePolicy
) -> None:
    catalogue = CATALOGUE
    charges = rate_hours(rows, catalogue, policy)
    bill = bill_months(charges, catalogue, rounding)
    assert _by_month(bill) == _oracle(rows, policy, rounding)
    assert bill.tax_included_yen == bill.tax_excluded_yen + bill.tax_yen
    assert bill.tax_included_yen == sum(m.tax_included_yen for m in bill.months)
    ends = {month: micro for _, month, micro in month_to_date(charges)}
    assert ends == {m.month: m.tax_excluded_micro_yen for m in bill.months}


@given(rows=hourly_rows(), policy=POLICIES, data=st.data())
def test_splitting_a_row_of_one_hour_changes_no_charge(
    rows: list[HourlyRow], policy: ChargePolicy, data: st.DataObject
) -> None:
    """An hour told in pieces (each with what was true in it at most, once fully) owes the same."""
    pieces = []
    for row in rows:
        cells = {name: getattr(row, name) for name in HourlyRow.__dataclass_fields__}
        pieces.append(HourlyRow(**cells | {"config_seq": row.config_seq * 2}))
        if data.draw(st.booleans()):
            quiet: dict[str, Any] = {
                name: data.draw(st.integers(0, cells[name]))
                for name in ("peering_peak", "vif_peak", "vpn_peak", "fixed_ip_sets", "vpg_exists")
            }
            quiet |= {"junction_on": 0, "inspection_on": 0, "lines_inspected": 0, "one_off": ""}
            pieces.append(HourlyRow(**cells | quiet | {"config_seq": row.config_seq * 2 + 1}))
    catalogue = CATALOGUE
    whole, split = rate_hours(rows, catalogue, policy), rate_hours(pieces, catalogue, policy)
    assert charges_digest(split) == charges_digest(whole)


@given(rows=hourly_rows(), policy=POLICIES, data=st.data())
def test_hours_are_rated_apart_and_in_any_order(
    rows: list[HourlyRow], policy: ChargePolicy, data: st.DataObject
) -> None:
    catalogue = CATALOGUE
    shuffled = data.draw(st.permutations(rows))
    cut = FIRST_US + data.draw(st.integers(0, 12)) * HOUR_US
    early = rate_hours([r for r in shuffled if r.hour_start_us < cut], catalogue, policy)
    late = rate_hours([r for r in shuffled if r.hour_start_us >= cut], catalogue, policy)
    whole = rate_hours(rows, catalogue, policy)
    assert charges_digest(early + late) == charges_digest(whole)
    joined = bill_months(late + early, catalogue, "per_item")
    assert joined == bill_months(whole, catalogue, "per_item")
