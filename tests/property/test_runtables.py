"""Any rows come back from Parquet as they went in, and equal rows are equal bytes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vpg.rating.charges import ChargeRow
from vpg.rating.hourly import COLUMNS, HourlyRow
from vpg.runtables import (
    CHARGES,
    DELAYS,
    HOURLY,
    delay_counts,
    delay_histograms,
    from_parquet,
    to_parquet,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
HOURLY_ROWS = st.builds(
    lambda cells: HourlyRow(**cells),
    st.fixed_dictionaries({c.name: NAME if c.is_text else INT64 for c in COLUMNS}),
)
CHARGE_ROWS = st.builds(
    ChargeRow,
    vpg_id=NAME,
    hour_start_us=INT64,
    bill_item=NAME,
    quantity=INT64,
    unit_price_micro_yen=st.none() | INT64,
    amount_micro_yen=st.none() | INT64,
)
HISTOGRAMS: st.SearchStrategy[dict[Any, Any]] = st.dictionaries(
    st.tuples(NAME, INT64, st.integers(0, 9)),
    st.dictionaries(st.integers(0, 9_000), st.integers(1, 2**62), min_size=1, max_size=5),
    max_size=4,
)


@given(rows=st.lists(HOURLY_ROWS, max_size=3))
def test_hourly_rows_come_back(rows: list[HourlyRow]) -> None:
    data = to_parquet(HOURLY, rows)
    assert from_parquet(HOURLY, data) == rows
    assert to_parquet(HOURLY, list(rows)) == data


@given(rows=st.lists(CHARGE_ROWS, max_size=5))
def test_charges_come_back_nulls_included(rows: list[ChargeRow]) -> None:
    assert from_parquet(CHARGES, to_parquet(CHARGES, rows)) == rows


@given(delays=HISTOGRAMS)
def test_histograms_come_back(delays: dict[Any, Any]) -> None:
    counts = from_parquet(DELAYS, to_parquet(DELAYS, delay_counts(delays)))
    assert delay_histograms(counts) == delays
