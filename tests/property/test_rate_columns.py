"""Rating whole columns against rating row by row: same rows, same bill, to the micro-yen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_rating import hour_row, utc_us, with_table
from vpg.billing.month import bill_months
from vpg.catalogue.items import vpg_kinds
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargePolicy, charge_key, rate_hours
from vpg.rating.columns import HourlyColumns, hourly_columns, rate_columns
from vpg.rating.hourly import HourlyRow
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from vpg.catalogue.model import Catalogue

FIRST_US = utc_us(2026, 3, 31, 12)
"""Two days around a month's turn; the user's table below changes and ends in them."""
HOURS = 48
TABLE = """\
replace = true
[[price]]
item = "vpg_c_small"
effective_from = 2026-04-01
valid_until = 2026-04-01
value = 51.000001
unit = "yen/h"
[[price]]
item = "peering"
effective_from = 2026-04-02
value = "unknown"
unit = "yen/h"
[[limit]]
item = "inspection_lines_per_unit"
effective_from = 2026-04-01
valid_until = 2026-04-01
value = 7
unit = "lines"
"""
REQUESTS = """\
[[usage]]
item = "beam_requests"
effective_from = 2026-01-01
value = 0.5
unit = "yen/request"
free = 9
"""
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
        "kind": st.sampled_from(vpg_kinds()),
        "peering_peak": st.integers(0, 3),
        "vif_peak": st.integers(0, 2),
        "vpn_peak": st.integers(0, 2),
        "junction_on": st.integers(0, 1),
        "inspection_on": st.integers(0, 1),
        "lines_inspected": st.sampled_from([0, 7, 8, 10_000, 10_001]),
        "fixed_ip_sets": st.sampled_from([0, 0, 1, 10**17]),
        "one_off": st.sampled_from([*[""] * 9, "contract_fee_c", "change_fee_d,contract_fee_g"]),
        "accepted_beam": st.integers(0, 9),
        "failed_upstream_funk": st.sampled_from([0, 0, 5]),
    }
)


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalogue, ...]:
    folder = tmp_path_factory.mktemp("tables")
    tables = [with_table(folder, text) for text in (TABLE, TABLE + REQUESTS)]
    return load_catalogue(), *tables


@st.composite
def hours(draw: st.DrawFn) -> list[HourlyRow]:
    """Draw stretches of equal hours of up to three VPGs, some hours in pieces, in any order."""
    stretch = st.tuples(
        st.sampled_from("abc"), st.integers(0, HOURS - 1), st.sampled_from([1, 2, 5, HOURS]), CELLS
    )
    kept: dict[tuple[str, int], list[HourlyRow]] = {}
    for vpg_id, first, long, drawn in draw(st.lists(stretch, max_size=6)):
        cells = dict(drawn)
        vpg_type, size = cells.pop("kind")
        for hour in range(first, min(first + long, HOURS)):
            start_us = FIRST_US + hour * HOUR_US
            own = kept.setdefault((vpg_id, start_us), [])
            more: dict[str, Any] = {"vpg_id": vpg_id, "config_seq": len(own)}
            row = HourlyRow(hour_start_us=start_us, type=vpg_type, size=size, **cells, **more)
            if own and draw(st.sampled_from([True, False, False])):
                own.append(row)
            else:
                own[:] = [replace(row, config_seq=0)]
    rows = [row for own in kept.values() for row in own]
    return draw(st.sampled_from([rows, rows[::-1], sorted(rows, key=lambda row: row.config_seq)]))


@given(rows=hours(), policy=POLICIES, which=st.integers(0, 2))
def test_columns_give_the_rows_and_the_bill_of_one_by_one(
    catalogues: tuple[Catalogue, ...], rows: list[HourlyRow], policy: ChargePolicy, which: int
) -> None:
    catalogue = catalogues[which]
    plain = rate_hours(rows, catalogue, policy)
    charged = rate_columns(hourly_columns(rows), catalogue, policy)
    assert charged.rows() == plain
    assert len(charged) == len(plain)
    for rounding in ("monthly_total", "per_item", "per_day"):
        by_day = rounding == "per_day"
        bill = bill_months(charged.summed(by_day=by_day), catalogue, rounding)
        assert bill == bill_months(plain, catalogue, rounding)
    for column in charged.items.values():
        cells = (column.quantity, column.micro_yen, charged.hours)
        assert {cell.dtype for cell in cells} == {np.dtype(np.int64)}


def test_plain_hours_are_rated_as_columns_and_the_others_one_by_one() -> None:
    rows = [hour_row(hour, vpg_id=name) for name in ("a", "b") for hour in range(24)]
    rows.append(hour_row(3, vpg_id="b", config_seq=1, size="large"))
    rows[0] = replace(rows[0], one_off="contract_fee_c")
    charged = rate_columns(hourly_columns(rows), load_catalogue(), ChargePolicy())
    assert charged.hours.tolist() == [23, 3, 20]
    assert charged.items["vpg_c_small"].quantity.tolist() == [1, 1, 1]
    assert [charge.bill_item for charge in charged.others] == [
        "contract_fee_c",
        "vpg_c_small",
        "vpg_c_large",
        "vpg_c_small",
    ]
    assert charged.rows() == sorted(charged.rows(), key=charge_key)


def test_an_hour_that_is_missing_is_not_made_up() -> None:
    rows = [hour_row(hour) for hour in (0, 1, 4, 5)]
    charged = rate_columns(hourly_columns(rows), load_catalogue(), ChargePolicy())
    assert charged.hours.tolist() == [2, 2]
    assert charged.rows() == rate_hours(rows, load_catalogue(), ChargePolicy())


def test_no_figure_wraps_around() -> None:
    rows = [hour_row(hour, fixed_ip_sets=2**62) for hour in range(3)]
    charged = rate_columns(hourly_columns(rows), load_catalogue(), ChargePolicy())
    assert charged.items == {}
    assert sum(charge.amount_micro_yen or 0 for charge in charged.rows()) == 3 * (
        2**62 * 15_000_000 + 50_000_000
    )


def test_nothing_owes_nothing() -> None:
    charged = rate_columns(hourly_columns([]), load_catalogue(), ChargePolicy())
    assert isinstance(hourly_columns([]), HourlyColumns)
    assert (charged.rows(), charged.summed(), len(charged)) == ([], [], 0)
