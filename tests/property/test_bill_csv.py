"""Laws of the bill's CSVs: nothing is lost on the way, and every difference is explained whole."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vpg.billing.csv_cells import as_meant, decimal_text, harmless, number_pico
from vpg.billing.csv_compare import compare
from vpg.billing.csv_detail import (
    COLUMNS,
    THING_COLUMNS,
    DetailRow,
    detail_csv,
    read_detail,
)
from vpg.errors import InputError, Problem

MONTH = "202604"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NAMES = TEXTS.filter(lambda text: bool(text) and text not in (*COLUMNS, *THING_COLUMNS))
CURRENCY = ("currency", "通貨")
PRICES = st.none() | st.integers(-(10**20), 10**20)


@st.composite
def rows(draw: st.DrawFn) -> list[DetailRow]:
    """Draw rows of April 2026, none twice."""
    tags = draw(st.lists(NAMES.filter(lambda name: name not in CURRENCY), max_size=2, unique=True))
    made: dict[Any, DetailRow] = {}
    for _ in range(draw(st.integers(1, 6))):
        price, quantity = draw(PRICES), draw(st.integers(-(10**6), 10**6))
        ids = {column: draw(TEXTS) for column in THING_COLUMNS[:2]}
        values = {tag: draw(TEXTS) for tag in tags}
        row = DetailRow(
            things=tuple((column, value) for column, value in ids.items() if value),
            date=draw(st.sampled_from([MONTH, "20260401", "20260430"])),
            item=draw(NAMES),
            unit_price_pico=price,
            quantity=quantity,
            amount_pico=None if price is None else price * quantity + draw(st.integers(-9, 9)),
            tags=tuple((tag, value) for tag, value in values.items() if value),
        )
        made[row.things, row.date, row.item, price, row.tags] = row
    return list(made.values())


@given(rows())
def test_what_is_written_is_read(bill: list[DetailRow]) -> None:
    used = list(dict.fromkeys(name for row in bill for name, _ in row.tags))
    back = read_detail(detail_csv(bill), month=MONTH, currency="JPY")
    order = {name: place for place, name in enumerate(used)}
    wanted = [
        (row.things, row.item, row.unit_price_pico, row.quantity, row.amount_pico,
         tuple(sorted(row.tags, key=lambda tag: order[tag[0]])))
        for row in bill
    ]  # fmt: skip
    found = [
        (row.things, row.item, row.unit_price_pico, row.quantity, row.amount_pico, row.tags)
        for row in back
    ]
    assert found == wanted


@given(rows(), rows())
def test_reasons_add_up_to_the_difference(bill: list[DetailRow], theirs: list[DetailRow]) -> None:
    ours = [
        DetailRow(
            things=row.things, date=row.date, item=row.item, unit_price_pico=row.unit_price_pico,
            quantity=row.quantity,
            amount_pico=None if row.unit_price_pico is None else row.unit_price_pico * row.quantity,
        )
        for row in bill
    ]  # fmt: skip
    both = [*theirs, *ours[: len(ours) // 2]]
    found = compare(ours, both, "JPY")
    assert sum(one.pico for one in found.differences) == found.actual_pico - found.computed_pico
    assert compare(ours, ours, "JPY").equal


@given(TEXTS)
def test_harmless_text_comes_back(text: str) -> None:
    cell = harmless(text)
    assert as_meant(cell) == text
    assert cell.lstrip()[:1] not in tuple("=+-@＝＋－＠")
    assert cell[:1] not in ("\t", "\r")


@given(st.integers(-(10**29), 10**29))
def test_an_exact_amount_comes_back(pico: int) -> None:
    assert number_pico(decimal_text(pico)) == pico


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_no_file_is_a_traceback(data: bytes) -> None:
    for head in (b"", b"date,billItemName,unitPrice,quantity,amount\r\n"):
        assert all(one.place is not None for one in problems_of(head + data))


def problems_of(data: bytes) -> list[Problem]:
    """Return what is wrong with a detail CSV."""
    try:
        read_detail(data, month=MONTH, currency="JPY")
    except InputError as error:
        return error.problems
    return []
