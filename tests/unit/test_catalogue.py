"""The shipped figures against the terms' price table, and what a user's table changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support_rating import APRIL_2026_US, problems_of, table_file, utc_us, with_table
from vpg.catalogue.items import BILL_ITEMS, FEATURES, KINDS, TYPES, vpg_kinds
from vpg.catalogue.load import load_catalogue
from vpg.catalogue.model import Limits
from vpg.errors import EnsureError, InputError

if TYPE_CHECKING:
    from pathlib import Path

YEN = 1_000_000

# The price table of the terms as printed: yen an hour, lines, requests a second.
SIZED = {
    ("C", "small"): (50, 1_000, 30),
    ("C", "medium"): (100, 3_000, 90),
    ("C", "large"): (300, 10_000, 300),
    ("D", "small"): (300, 1_000, 30),
    ("D", "medium"): (600, 3_000, 90),
    ("D", "large"): (1_800, 10_000, 300),
}
OTHER_YEN = {
    "junction_base": 15,
    "junction_mirroring": 0,
    "junction_redirection": 0,
    "junction_inspection": 100,
    "peering": 10,
    "vif": 10,
    "vpn": 10,
    "fixed_ip": 15,
    "contract_fee_c": 980,
    "contract_fee_d": 9_800,
    "change_fee_d": 9_800,
}
UNPRICED = {
    *("vpg_e", "vpg_f", "vpg_f2", "vpg_g"),
    *("contract_fee_e", "contract_fee_f", "contract_fee_f2", "contract_fee_g"),
}
USER_HEAD = 'id = "ours"\neffective_from = 2026-01-01\n'


@pytest.mark.parametrize(("kind", "figures"), SIZED.items())
def test_sized_types_have_the_terms_price_and_limits(
    kind: tuple[str, str], figures: tuple[int, int, int]
) -> None:
    catalogue = load_catalogue()
    price, lines, rate = figures
    assert catalogue.base_price_micro_yen(*kind, APRIL_2026_US) == price * YEN
    assert catalogue.limits(*kind, APRIL_2026_US) == Limits(lines_max=lines, rate_per_s=rate)


@pytest.mark.parametrize(("item", "yen"), OTHER_YEN.items())
def test_extras_and_one_off_fees_have_the_terms_price(item: str, yen: int) -> None:
    assert load_catalogue().price_micro_yen(item, APRIL_2026_US) == yen * YEN


def test_the_literal_tables_above_leave_no_bill_item_out() -> None:
    sized = {f"vpg_{t.lower()}_{s}" for t, s in SIZED}
    assert sized | set(OTHER_YEN) | UNPRICED == set(BILL_ITEMS)


def test_newer_types_are_unpriced_and_uncapped_never_zero() -> None:
    catalogue = load_catalogue()
    for item in UNPRICED:
        assert catalogue.price_micro_yen(item, APRIL_2026_US) is None
    for vpg_type in ("E", "F", "F2", "G"):
        uncapped = Limits(lines_max=None, rate_per_s=None)
        assert catalogue.limits(vpg_type, "", APRIL_2026_US) == uncapped


def test_other_limits() -> None:
    catalogue = load_catalogue()
    assert catalogue.count("inspection_lines_per_unit", APRIL_2026_US) == 10_000
    assert catalogue.count("peering_max", APRIL_2026_US) is None
    assert catalogue.count("mirror_peers_max", APRIL_2026_US) is None
    assert catalogue.rounding(APRIL_2026_US) == "monthly_total"


def test_type_codes_of_the_public_api() -> None:
    codes = {t: load_catalogue().type_code(t) for t in TYPES}
    assert codes == {"C": 12, "D": 13, "E": 14, "F": 15, "F2": 242, "G": None}


def test_features_by_type_only_direct_and_door_are_forbidden_to_type_c() -> None:
    catalogue = load_catalogue()
    forbidden = {(t, f) for t in TYPES for f in FEATURES if not catalogue.allows(t, f)}
    assert forbidden == {("C", "vif"), ("C", "vpn")}


@pytest.mark.parametrize(
    ("at_us", "ppm"),
    [
        (utc_us(2014, 3, 31, 15), 80_000),
        (utc_us(2019, 9, 30, 14, 59, 59), 80_000),
        (utc_us(2019, 9, 30, 15), 100_000),
        (APRIL_2026_US, 100_000),
    ],
)
def test_tax_rate_changes_at_midnight_in_japan(at_us: int, ppm: int) -> None:
    assert load_catalogue().tax_ppm(at_us) == ppm


def test_nothing_is_in_force_before_the_first_entry() -> None:
    catalogue = load_catalogue()
    before = utc_us(2019, 9, 30, 14, 59, 59)
    assert catalogue.price_micro_yen("peering", before) is None
    with pytest.raises(InputError, match="VPG1121"):
        catalogue.limits("C", "small", before)
    with pytest.raises(InputError, match="VPG1121"):
        catalogue.tax_ppm(utc_us(2014, 3, 31, 14, 59, 59))


def test_every_shipped_row_tells_where_it_comes_from() -> None:
    entries = load_catalogue().entries()
    # Requests and lines have no price in any document: only a user's table gives one.
    usage = {kind.item for kind in KINDS.values() if kind.section == "usage"}
    assert {entry.item for entry in entries} == set(KINDS) - usage
    for entry in entries:
        assert not entry.source.startswith("user table"), entry.item
        assert entry.retrieved is not None, entry.item
        assert entry.confidence in {"high", "medium", "low"}, entry.item
        assert entry.unit == KINDS[entry.item].unit
        if entry.value is None and not entry.choice:
            assert entry.confidence == "low" or entry.item == "type_code_g"


def test_unknown_names_are_a_bug_of_ours_not_a_silent_none() -> None:
    catalogue = load_catalogue()
    for call in (
        lambda: catalogue.price_micro_yen("lines_max_c_small", APRIL_2026_US),
        lambda: catalogue.find("vpg_c_huge", APRIL_2026_US),
        lambda: catalogue.allows("C", "teleport"),
    ):
        with pytest.raises(EnsureError):
            call()


def test_catalogue_is_the_same_each_time_and_a_changed_figure_changes_its_digest(
    tmp_path: Path,
) -> None:
    shipped = load_catalogue()
    assert load_catalogue().sha256 == shipped.sha256
    row = '[[price]]\nitem = "vpg_e"\nvalue = 1\nunit = "yen/h"\n'
    mine = with_table(tmp_path, USER_HEAD + row)
    assert mine.sha256 != shipped.sha256
    assert mine.id == f"{shipped.id}+ours"
    assert load_catalogue().sha256 == shipped.sha256  # the user's table left no trace


def test_user_prices_an_unpriced_type_with_decimals(tmp_path: Path) -> None:
    rows = '[[price]]\nitem = "vpg_e"\nvalue = 15.123456\nunit = "yen/h"\n'
    catalogue = with_table(tmp_path, USER_HEAD + rows)
    assert catalogue.price_micro_yen("vpg_e", APRIL_2026_US) == 15_123_456
    assert catalogue.price_micro_yen("vpg_e", utc_us(2025, 6, 1)) is None
    entry = catalogue.entry("vpg_e", APRIL_2026_US)
    assert (entry.source, entry.confidence, entry.retrieved) == ("user table ours", "user", None)


def test_user_lowers_a_cap_from_a_day_on(tmp_path: Path) -> None:
    rows = (
        '[[limit]]\nitem = "lines_max_c_small"\nvalue = 10\nunit = "lines"\nreplace = true\n'
        '[[limit]]\nitem = "rate_per_s_c_small"\nvalue = 5\nunit = "requests/s"\nreplace = true\n'
    )
    catalogue = with_table(tmp_path, USER_HEAD + rows)
    low, high = Limits(lines_max=10, rate_per_s=5), Limits(lines_max=1_000, rate_per_s=30)
    assert catalogue.limits("C", "small", APRIL_2026_US) == low
    assert catalogue.limits("C", "small", utc_us(2025, 12, 31, 14, 59, 59)) == high
    assert catalogue.limits("C", "small", utc_us(2025, 12, 31, 15)) == low
    assert catalogue.limits("D", "small", APRIL_2026_US) == high


def test_replacing_hides_later_shipped_entries_and_nothing_comes_back(tmp_path: Path) -> None:
    rows = (
        "effective_from = 2018-01-01\nvalid_until = 2026-03-31\nreplace = true\n"
        '[[tax]]\nitem = "consumption_tax"\nvalue = 5\nunit = "percent"\n'
    )
    catalogue = with_table(tmp_path, rows)
    assert catalogue.tax_ppm(utc_us(2016, 1, 1)) == 80_000
    assert catalogue.tax_ppm(utc_us(2020, 1, 1)) == 50_000
    assert catalogue.tax_ppm(utc_us(2026, 3, 31, 14, 59)) == 50_000
    with pytest.raises(InputError, match="VPG1120"):
        catalogue.tax_ppm(utc_us(2026, 3, 31, 15))


def test_later_user_tables_win_over_earlier_ones_only_with_replace(tmp_path: Path) -> None:
    row = '[[price]]\nitem = "vpg_g"\nvalue = {}\nunit = "yen/h"\n'
    first = table_file(tmp_path, USER_HEAD + row.format(1), "first.toml")
    second = table_file(tmp_path, USER_HEAD + row.format(2), "second.toml")
    third = table_file(tmp_path, "replace = true\n" + USER_HEAD + row.format(3), "third.toml")
    with pytest.raises(InputError) as caught:
        load_catalogue([first, second])
    assert [(p.code, p.values["other_table"]) for p in caught.value.problems] == [
        ("VPG1115", "ours")
    ]
    assert load_catalogue([first, third]).price_micro_yen("vpg_g", APRIL_2026_US) == 3 * YEN


@pytest.mark.parametrize(("day", "codes"), [("03-31", ["VPG1115"]), ("04-01", [])])
def test_a_table_may_follow_one_that_ends_from_the_next_day_on(
    tmp_path: Path, day: str, codes: list[str]
) -> None:
    row = '[[price]]\nitem = "vpg_g"\nvalue = {}\nunit = "yen/h"\n'
    ending = USER_HEAD + "valid_until = 2026-03-31\n" + row.format(1)
    first = table_file(tmp_path, ending, "first.toml")
    text = f"effective_from = 2026-{day}\n" + row.format(2)
    second = table_file(tmp_path, text, "second.toml")
    found = []
    try:
        assert load_catalogue([first, second]).price_micro_yen("vpg_g", APRIL_2026_US) == 2 * YEN
    except InputError as error:
        found = [problem.code for problem in error.problems]
    assert found == codes


def test_a_figure_withdrawn_since_need_not_be_replaced(tmp_path: Path) -> None:
    row = '[[price]]\nitem = "vpg_g"\nvalue = {}\nunit = "yen/h"\neffective_from = {}\n'
    withdrawn = row.format(1, "2020-01-01") + row.format('"unknown"', "2023-01-01")
    first = table_file(tmp_path, withdrawn, "first.toml")
    second = table_file(tmp_path, row.format(2, "2025-01-01"), "second.toml")
    catalogue = load_catalogue([first, second])
    assert catalogue.price_micro_yen("vpg_g", utc_us(2024, 1, 1)) is None
    assert catalogue.price_micro_yen("vpg_g", APRIL_2026_US) == 2 * YEN


def test_a_replaced_entry_of_the_same_day_is_gone(tmp_path: Path) -> None:
    text = (
        "effective_from = 2019-10-01\nreplace = true\n"
        '[[price]]\nitem = "vpn"\nvalue = 9\nunit = "yen/h"\n'
    )
    own = [e.value for e in with_table(tmp_path, text).entries() if e.item == "vpn"]
    assert own == [9 * YEN]


def test_user_versions_of_one_item_follow_each_other(tmp_path: Path) -> None:
    row = '[[price]]\nitem = "vpg_f"\nvalue = {}\nunit = "yen/h"\neffective_from = {}\n'
    text = row.format(7, "2026-04-02") + row.format(5, "2026-03-01")
    catalogue = with_table(tmp_path, text)
    assert catalogue.price_micro_yen("vpg_f", utc_us(2026, 4, 1, 14)) == 5 * YEN
    assert catalogue.price_micro_yen("vpg_f", utc_us(2026, 4, 1, 15)) == 7 * YEN


def test_rules_features_and_codes_can_be_replaced(tmp_path: Path) -> None:
    text = (
        "replace = true\n" + USER_HEAD + '[[rule]]\nitem = "rounding"\nvalue = "per_day"\n'
        'unit = "policy"\n[[feature]]\nitem = "c_vif"\nvalue = true\nunit = "bool"\n'
        '[[code]]\nitem = "type_code_g"\nvalue = 300\nunit = "code"\n'
    )
    catalogue = with_table(tmp_path, text)
    assert catalogue.rounding(APRIL_2026_US) == "per_day"
    assert catalogue.allows("C", "vif")
    assert catalogue.type_code("G") == 300


def test_coverage_is_silent_inside_and_names_each_gap_outside(tmp_path: Path) -> None:
    catalogue = load_catalogue()
    start, end = APRIL_2026_US, utc_us(2026, 5, 1)
    assert catalogue.coverage_of(start_us=start, end_us=end, vpgs=vpg_kinds()) == []
    early = catalogue.coverage_of(start_us=utc_us(2018, 1, 1), end_us=end, vpgs=[("C", "small")])
    assert [(p.code, p.path) for p in early] == [
        ("VPG1121", "lines_max_c_small"),
        ("VPG1121", "rate_per_s_c_small"),
        ("VPG1121", "vpg_c_small"),
    ]
    rows = '[[price]]\nitem = "vpg_e"\nvalue = 1\nunit = "yen/h"\nvalid_until = 2026-04-10\n'
    stale = with_table(tmp_path, USER_HEAD + rows)
    inside = stale.coverage(start_us=start, end_us=end, items=["vpg_e"])
    assert [(p.code, p.values["ended"]) for p in inside] == [("VPG1120", "2026-04-10")]
    last_us = utc_us(2026, 4, 10, 15)
    assert stale.coverage(start_us=start, end_us=last_us, items=["vpg_e"]) == []
    after = stale.coverage(start_us=last_us, end_us=end, items=["vpg_e"], at=[0])
    assert [p.code for p in after] == ["VPG1120", "VPG1121"]


def test_a_good_table_with_crlf_and_bom_is_read(tmp_path: Path) -> None:
    text = USER_HEAD + '[[price]]\nitem = "vpg_e"\nvalue = 1\nunit = "yen/h"\n'
    assert problems_of(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == []
