"""A computed month beside a CSV: which rows belong together, and why they differ."""

from __future__ import annotations

from typing import Any

import pytest

from vpg.billing.csv_cells import PICO
from vpg.billing.csv_compare import compare
from vpg.billing.csv_detail import DetailRow


def row(price: int | None = 50, quantity: int = 24, **more: Any) -> DetailRow:
    """Return a day of a VPG at a whole price."""
    pico = None if price is None else price * PICO
    fields: dict[str, Any] = {
        "things": (("vpgId", "gate"),),
        "date": "20260401",
        "item": "vpg_c_small",
        "unit_price_pico": pico,
        "quantity": quantity,
        "amount_pico": None if pico is None else pico * quantity,
    }
    return DetailRow(**(fields | more))


@pytest.mark.parametrize(
    ("actual", "reasons"),
    [
        (row(), ()),
        (row(quantity=23), (("quantity", -50 * PICO),)),
        (row(60), (("price", 240 * PICO),)),
        (row(60, 23), (("quantity", -50 * PICO), ("price", 230 * PICO))),
        (row(amount_pico=1200 * PICO + 1), (("rounding", 1),)),
        (row(amount_pico=1201 * PICO), (("amount", PICO),)),
        (row(None), (("unpriced", -1200 * PICO),)),
        (row(None, 1), (("unpriced", -1200 * PICO), ("quantity", 0))),
        (row(tags=(("a", "b"),)), ()),
    ],
)
def test_a_row_says_why_it_differs(actual: DetailRow, reasons: tuple[tuple[str, int], ...]) -> None:
    found = compare([row()], [actual], "JPY")
    said = tuple(tuple(reason) for one in found.differences for reason in one.reasons)
    assert said == reasons
    assert found.equal == (not reasons)
    assert found.rows_equal == int(not reasons)


def test_both_without_a_price_are_equal() -> None:
    assert compare([row(None)], [row(None)], "JPY").equal


def test_missing_and_extra() -> None:
    other = row(item="other")
    found = compare([row()], [other], "JPY")
    assert [(one.computed, one.actual) for one in found.differences] == [
        (None, other),
        (row(), None),
    ]
    assert [one.reasons[0].why for one in found.differences] == ["extra", "missing"]
    assert sum(one.pico for one in found.differences) == 0


def test_rows_of_one_item_belong_together_by_price_first() -> None:
    ours = [row(50, 1), row(70, 2), row(90, 3)]
    theirs = [row(70, 2), row(55, 1), row(None, 1), row(95, 3)]
    found = compare(ours, theirs, "JPY")
    pairs = [
        tuple(None if x is None else x.unit_price_pico for x in (one.computed, one.actual))
        for one in found.differences
    ]
    assert found.rows_equal == 1
    assert pairs == [(50 * PICO, 55 * PICO), (90 * PICO, 95 * PICO), (None, None)]


def test_a_csv_without_days_is_compared_by_the_month() -> None:
    days = [row(), row(date="20260402"), row(None, 1, item="vpg_g"), row(None, 2, item="vpg_g")]
    months = [row(quantity=48, date="202604"), row(None, 3, item="vpg_g", date="202604")]
    found = compare(days, months, "JPY")
    assert (found.grain, found.equal, found.rows_equal) == ("month", True, 2)
    assert compare(days, days, "JPY").grain == "day"


def test_rounding_in_dollars_is_less_than_a_cent() -> None:
    for rest, why in ((PICO // 100 - 1, "rounding"), (PICO // 100, "amount")):
        found = compare([row(5, 1)], [row(5, 1, amount_pico=5 * PICO + rest)], "USD")
        assert [one.reasons[0].why for one in found.differences] == [why]
