"""Generator against store against bill: every planted difference is found, none is invented."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.reconcile import check_bill, compare, growth, summed
from loadtests.result import Tally, add_up
from vpg.billing.month import bill_months
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargePolicy, rate_hours
from vpg.rating.hourly import HourlyRow
from vpg.timebase import HOUR_US

T0 = 1_775_001_600_000_000
CATALOGUE = load_catalogue()


def tally(outcome: str, requests: int, service: str = "beam", **more: Any) -> Tally:
    return Tally(vpg_id="v", service=service, outcome=outcome, requests=requests, **more)


def stored(**sums: int) -> dict[tuple[str, int], Counter[str]]:
    return {("v", 0): Counter(sums)}


def off(*args: Any, **more: Any) -> dict[str, tuple[int, int]]:
    return {c.column: (c.lost, c.doubled) for c in compare(*args, **more) if not c.agrees}


@given(n=st.integers(0, 50), unknown=st.integers(0, 9), more=st.integers(-60, 60))
def test_stored_lies_between_acknowledged_and_that_with_the_unknown(
    n: int, unknown: int, more: int
) -> None:
    tallies = [tally("accepted", n), tally("unknown", unknown)]
    found = off(tallies, stored(accepted_beam=max(0, n + more)))
    there = max(0, n + more)
    lost, doubled = max(0, n - there), max(0, there - n - unknown)
    assert found == ({"accepted_beam": (lost, doubled)} if lost or doubled else {})


def test_what_nobody_sent_is_counted_twice() -> None:
    assert off([], stored(throttled_funk=1)) == {"throttled_funk": (0, 1)}
    assert off([tally("accepted", 1, bytes_up=10)], stored(accepted_beam=1, bytes_up=11)) == {
        "bytes_up": (0, 1)
    }


def test_a_kill_may_lose_refusals_but_nothing_billed_and_never_doubles() -> None:
    tallies = [tally("accepted", 5), tally("throttled", 5)]
    assert off(tallies, stored(accepted_beam=5, throttled_beam=3), may_lose_refusals=True) == {}
    assert off(tallies, stored(accepted_beam=5, throttled_beam=3)) == {"throttled_beam": (2, 0)}
    lost = off(tallies, stored(accepted_beam=4, throttled_beam=6), may_lose_refusals=True)
    assert lost == {"accepted_beam": (1, 0), "throttled_beam": (0, 1)}


def test_hours_are_compared_one_by_one_and_shown_together() -> None:
    tallies = [
        tally("accepted", 3, hour_start_us=T0),
        tally("accepted", 4, hour_start_us=T0 + HOUR_US),
    ]
    rows = [
        HourlyRow(vpg_id="v", hour_start_us=T0, accepted_beam=4),
        HourlyRow(vpg_id="v", hour_start_us=T0 + HOUR_US, config_seq=0, accepted_beam=2),
        HourlyRow(vpg_id="v", hour_start_us=T0 + HOUR_US, config_seq=1, accepted_beam=1),
    ]
    (whole,) = summed(compare(tallies, growth([], rows, by_hour=True)))
    assert (whole.acknowledged, whole.stored, whole.lost, whole.doubled) == (7, 7, 1, 1)
    assert not whole.agrees


def test_only_growth_counts() -> None:
    before = [HourlyRow(vpg_id="v", hour_start_us=T0, accepted_beam=10, throttled_beam=2)]
    after = [HourlyRow(vpg_id="v", hour_start_us=T0, accepted_beam=13, throttled_beam=2)]
    grown = growth(before, after, by_hour=False)
    assert off([tally("accepted", 3)], grown) == {}


def test_tallies_add_up() -> None:
    sums = add_up([tally("accepted", 1, bytes_up=2), tally("accepted", 3, bytes_up=4)])
    assert list(sums.values()) == [tally("accepted", 4, bytes_up=6)]


ROWS = [
    HourlyRow(vpg_id="v", hour_start_us=T0 + n * HOUR_US, vpg_exists=1, type="C", size="small")
    for n in range(3)
]
CHARGES = rate_hours(ROWS, CATALOGUE, ChargePolicy())
LINES = [
    {
        "vpgId": item.vpg_id,
        "billItemName": item.bill_item,
        "quantity": item.quantity,
        "unitPriceMicroYen": item.unit_price_micro_yen,
        "amountMicroYen": item.amount_micro_yen,
        "correctsMonth": "",
    }
    for month in bill_months(CHARGES, CATALOGUE, "monthly_total").months
    for item in month.items
]


@pytest.mark.parametrize(
    ("rows", "charges", "lines", "what"),
    [
        (ROWS, CHARGES, LINES, ()),
        (ROWS, CHARGES, [*LINES, {**LINES[0], "correctsMonth": "202603"}], ()),
        (ROWS, CHARGES[1:], LINES, ("hours", "charges", "items")),
        (ROWS[1:], CHARGES, LINES, ("charges",)),
        (ROWS, CHARGES, [{**LINES[0], "quantity": 4}, *LINES[1:]], ("items",)),
        (ROWS, CHARGES, [], ("items",)),
    ],
    ids=["agrees", "a correction", "a charge too few", "too many", "a bill item", "no bill"],
)
def test_a_bill_follows_from_its_hours(
    rows: list[HourlyRow], charges: list[Any], lines: list[Any], what: tuple[str, ...]
) -> None:
    found = check_bill("202604", rows, charges, lines, catalogue=CATALOGUE, policy=ChargePolicy())
    assert found.differences == what
