"""The bill against a second one, written from the terms with fractions and literal prices.

The oracle knows no catalogue, no micro-yen and none of the product's grouping: it walks over VPGs,
calendar months and hours as a clerk would, in exact fractions of a yen.
"""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_rating import utc_us
from vpg.billing.month import Bill, bill_months, month_to_date
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargePolicy, charges_digest, rate_hours
from vpg.rating.hourly import HourlyRow
from vpg.timebase import HOUR_US

YEN_BASE = {
    ("C", "small"): 50,
    ("C", "medium"): 100,
    ("C", "large"): 300,
    ("D", "small"): 300,
    ("D", "medium"): 600,
    ("D", "large"): 1800,
}
YEN_ONCE = {"contract_fee_c": 980, "contract_fee_d": 9800, "change_fee_d": 9800}
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
        "kind": st.sampled_from(sorted(YEN_BASE)),
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


def _bases(alive: list[HourlyRow], policy: ChargePolicy) -> set[tuple[str, str]]:
    kinds = {(row.type, row.size) for row in alive}
    if policy.resize_hour == "both":
        return kinds
    seen = [(row.type, row.size) for row in alive]
    return {max(kinds, key=lambda kind: (YEN_BASE[kind], seen.index(kind)))}


def _extras(alive: list[HourlyRow], policy: ChargePolicy) -> dict[str, int]:
    yen = {"fixed_ip": 15 * max(row.fixed_ip_sets for row in alive)}
    left = 1
    for name in ("peering", "vif", "vpn"):
        count = max(getattr(row, f"{name}_peak") for row in alive)
        if policy.included_connection == "one_of_each":
            left = 1
        free = min(left, count)
        left -= free
        yen[name] = 10 * (count - free)
    inspected = any(row.inspection_on for row in alive)
    if inspected:
        started = math.ceil(Fraction(max(row.lines_inspected for row in alive), 10_000))
        units = 1 if policy.inspection == "first_10000" else max(1, started)
        yen["junction_inspection"] = 100 * units
    only = inspected and policy.junction_inspection == "inspection_only"
    if (inspected or any(row.junction_on for row in alive)) and not only:
        yen["junction_base"] = 15
    return yen


def _hour_yen(rows: list[HourlyRow], policy: ChargePolicy) -> dict[str, int]:
    """Return yen by bill item of one VPG's hour."""
    yen: dict[str, int] = {}
    for row in rows:
        for fee in filter(None, row.one_off.split(",")):
            yen[fee] = yen.get(fee, 0) + YEN_ONCE[fee]
    alive = [row for row in rows if row.vpg_exists == 1]
    if alive:
        for kind in _bases(alive, policy):
            yen[f"vpg_{kind[0].lower()}_{kind[1]}"] = YEN_BASE[kind]
        yen |= _extras(alive, policy)
    return yen


def _oracle(
    rows: list[HourlyRow], policy: ChargePolicy, rounding: str
) -> dict[str, tuple[int, int]]:
    """Return month → (tax-excluded yen, tax-included yen)."""
    parts: dict[str, dict[object, Fraction]] = {}
    for vpg_id in {row.vpg_id for row in rows}:
        for hour in {row.hour_start_us for row in rows if row.vpg_id == vpg_id}:
            own = [r for r in rows if (r.vpg_id, r.hour_start_us) == (vpg_id, hour)]
            moment = dt.datetime.fromtimestamp(hour // 10**6, tz=dt.UTC)
            for item, yen in _hour_yen(own, policy).items():
                part = {
                    "monthly_total": "",
                    "per_item": (vpg_id, item),
                    "per_day": moment.day,
                }[rounding]
                if yen:
                    month = parts.setdefault(moment.strftime("%Y%m"), {})
                    month[part] = month.get(part, Fraction()) + yen
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
