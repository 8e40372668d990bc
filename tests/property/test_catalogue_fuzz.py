"""Whatever bytes a table holds, the answer is a catalogue or an ``InputError`` one can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.support_rating import APRIL_2026_US, problems_of
from vpg.catalogue.items import KINDS
from vpg.catalogue.load import load_catalogue

if TYPE_CHECKING:
    import pytest

VALUES = st.one_of(
    st.sampled_from(
        ["true", '"unknown"', "nan", "inf", "2026-01-01", "[1]", "{a = 1}", "'per_day'"]
    ),
    st.integers(-(10**30), 10**30).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
KEYS = st.sampled_from(
    [
        "item",
        "value",
        "unit",
        "effective_from",
        "valid_until",
        "source",
        "retrieved",
        "confidence",
        "note",
        "replace",
        "id",
        "x",
    ]
)
ITEMS = st.sampled_from(sorted(KINDS)).map(lambda name: f'"{name}"')
UNITS = st.sampled_from(sorted({k.unit for k in KINDS.values()})).map(lambda name: f'"{name}"')
PAIRS = st.one_of(
    st.tuples(KEYS, VALUES),
    st.tuples(st.just("item"), ITEMS),
    st.tuples(st.just("unit"), UNITS),
    st.tuples(st.sampled_from(["effective_from", "valid_until"]), st.dates().map(str)),
)
ROWS = st.tuples(
    st.sampled_from(["price", "limit", "tax", "feature", "code", "rule", "prices"]),
    st.lists(PAIRS, max_size=6, unique_by=lambda pair: pair[0]),
)


def _text(rows: list[tuple[str, list[tuple[str, str]]]]) -> str:
    parts = [
        f"[[{section}]]\n" + "".join(f"{key} = {value}\n" for key, value in pairs)
        for section, pairs in rows
    ]
    return "effective_from = 2026-01-01\n" + "".join(parts)


@given(rows=st.lists(ROWS, max_size=5))
def test_rows_of_any_shape(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:  # type: ignore[type-arg]
    problems = problems_of(tmp_path_factory.mktemp("table"), _text(rows))
    assert rows or problems


@given(data=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda t: t.encode())))
def test_bytes_of_any_kind(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    assert problems_of(tmp_path_factory.mktemp("table"), data)  # nobody writes a good row by chance


@given(
    item=st.sampled_from(sorted(k for k, v in KINDS.items() if v.unit in {"yen", "yen/h"})),
    micro_yen=st.integers(0, 10**15),
)
def test_a_price_is_kept_to_the_micro_yen(
    tmp_path_factory: pytest.TempPathFactory, item: str, micro_yen: int
) -> None:
    folder = tmp_path_factory.mktemp("table")
    value = f"{micro_yen // 10**6}.{micro_yen % 10**6:06d}"
    text = (
        f'replace = true\neffective_from = 2026-01-01\n[[price]]\nitem = "{item}"\n'
        f'unit = "{KINDS[item].unit}"\nvalue = {value}\n'
    )
    assert problems_of(folder, text) == []
    catalogue = load_catalogue([folder / "mine.toml"])
    assert catalogue.price_micro_yen(item, APRIL_2026_US) == micro_yen
