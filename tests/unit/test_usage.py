"""Requests and lines priced by a user's table: free units, price steps, and what has no price."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_cli import vpg
from tests.support_rating import APRIL_2026_US, hour_row, problems_of, spots, with_table
from vpg.billing.month import bill_months
from vpg.catalogue.items import KINDS
from vpg.catalogue.load import load_catalogue
from vpg.catalogue.scales import Scale, Tier
from vpg.rating.charges import ChargePolicy, ChargeRow, rate_hours, rate_usage
from vpg.rating.usage import Usage, requests_used
from vpg.timebase import HOUR_US, next_month_start

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "effective_from = 2026-01-01\n"
MAY_US = next_month_start(APRIL_2026_US)


def row(item: str, value: object, **more: object) -> str:
    """Return one ``[[usage]]`` row."""
    extra = "".join(f"{key} = {text}\n" for key, text in more.items())
    unit = KINDS[item].unit
    return f'[[usage]]\nitem = "{item}"\nunit = "{unit}"\nvalue = {value}\n{extra}'


def told(charges: list[ChargeRow]) -> list[tuple[str, int, int | None]]:
    return [(c.bill_item, c.quantity, c.amount_micro_yen) for c in charges]


def use(quantity: int, *, hour: int = 0, item: str = "beam_requests", **more: Any) -> Usage:
    at_us = APRIL_2026_US + hour * HOUR_US
    standard: dict[str, Any] = {"vpg_id": "v", "hour_start_us": at_us}
    return Usage(bill_item=item, quantity=quantity, **standard | more)


def test_only_admitted_requests_count_and_only_those_under_the_limiter() -> None:
    cells: dict[str, int] = {
        "accepted_beam": 5,
        "failed_upstream_beam": 2,
        "throttled_beam": 100,
        "no_session_beam": 100,
        "accepted_funk": 1,
        "accepted_ip": 1000,
    }
    used = requests_used([hour_row(**cells)])
    assert [(u.bill_item, u.quantity) for u in used] == [("beam_requests", 7), ("funk_requests", 1)]


def test_without_a_users_table_requests_are_no_part_of_the_bill() -> None:
    busy, quiet = hour_row(accepted_beam=10**6), hour_row()
    charged = [rate_hours([one], load_catalogue(), ChargePolicy()) for one in (busy, quiet)]
    assert charged[0] == charged[1]
    assert rate_usage([use(3), use(1, item="line_basic")], load_catalogue()) == []


def test_a_table_that_prices_one_request_asks_for_all_of_them_and_for_no_line(
    tmp_path: Path,
) -> None:
    catalogue = with_table(tmp_path, HEAD + row("funnel_requests", 0.5))
    rows = [hour_row(accepted_beam=3, accepted_funnel=4)]
    charges = rate_hours(rows, catalogue, ChargePolicy())
    assert told(charges) == [
        ("beam_requests", 3, None),
        ("funnel_requests", 4, 2_000_000),
        ("vpg_c_small", 1, 50_000_000),
    ]
    bill = bill_months(charges, catalogue, "monthly_total")
    assert (bill.complete, bill.unpriced) == (False, (("vpg-1", "beam_requests"),))
    assert bill.tax_excluded_yen == 52
    assert rate_usage([use(1, item="line_basic")], catalogue) == []


def test_free_units_and_steps_are_of_the_account_and_begin_anew_each_month(tmp_path: Path) -> None:
    text = row("beam_requests", 2, free=10, tiers="[{above = 15, value = 1}]")
    catalogue = with_table(tmp_path, HEAD + text)
    rows = [
        hour_row(1, vpg_id="a", accepted_beam=6),
        hour_row(0, vpg_id="b", accepted_beam=8),
        hour_row(1, vpg_id="b", accepted_beam=7),
        hour_row(vpg_id="b", hour_start_us=MAY_US, accepted_beam=11),
    ]
    # April: b uses 1-8, then a 9-14, then b 15-21; ten are free, five cost 2, six cost 1.
    charges = rate_hours(rows[::-1], catalogue, ChargePolicy())
    said = [(c.vpg_id, c.hour_start_us, *told([c])[0]) for c in charges if "beam" in c.bill_item]
    first, second = (APRIL_2026_US + hour * HOUR_US for hour in (0, 1))
    assert said == [
        ("a", second, "beam_requests", 4, 8_000_000),
        ("a", second, "beam_requests_free", 2, 0),
        ("b", first, "beam_requests_free", 8, 0),
        ("b", second, "beam_requests", 1, 2_000_000),
        ("b", second, "beam_requests_tier2", 6, 6_000_000),
        ("b", MAY_US, "beam_requests", 1, 2_000_000),
        ("b", MAY_US, "beam_requests_free", 10, 0),
    ]


def test_free_units_of_each_line_need_the_line(tmp_path: Path) -> None:
    catalogue = with_table(tmp_path, HEAD + row("beam_requests", 2, free=10, per='"line"'))
    used = [use(9, line="x"), use(9, line="y"), use(2, line="x", hour=5), use(4)]
    assert told(rate_usage(used, catalogue)) == [
        ("beam_requests_free", 18, 0),
        ("beam_requests_without_line", 4, None),
        ("beam_requests", 1, 2_000_000),
        ("beam_requests_free", 1, 0),
    ]


def test_both_legs_count_where_the_table_says_so(tmp_path: Path) -> None:
    catalogue = with_table(tmp_path, HEAD + row("beam_requests", 2, free=3, legs=2))
    assert told(rate_usage([use(2)], catalogue)) == [
        ("beam_requests", 1, 2_000_000),
        ("beam_requests_free", 3, 0),
    ]


def test_an_unknown_price_and_the_time_before_a_price_are_not_zero(tmp_path: Path) -> None:
    text = (
        'valid_until = 2026-12-31\neffective_from = 2026-04-02\n[[usage]]\nitem = "beam_requests"'
    )
    catalogue = with_table(
        tmp_path, f'{text}\nunit = "yen/request"\nvalue = 1\nfree = 5\n' + row("line_basic", 9)
    )
    # 2026-04-02 00:00 JST is the 15th hour of the rating month; what came before counts in it.
    charges = rate_usage([use(4), use(4, hour=15)], catalogue)
    assert told(charges) == [
        ("beam_requests", 4, None),
        ("beam_requests", 3, 3_000_000),
        ("beam_requests_free", 1, 0),
    ]
    unknown = with_table(tmp_path, HEAD + row("beam_requests", '"unknown"', free=5))
    assert told(rate_usage([use(7)], unknown)) == [("beam_requests", 7, None)]


def test_lines_have_free_units_and_steps_too(tmp_path: Path) -> None:
    text = row("line_basic", 300, free=1, tiers="[{above = 3, value = 250.5}]")
    catalogue = with_table(tmp_path, HEAD + text)
    used = [use(5, item="line_basic"), use(2, item="line_ready")]
    assert told(rate_usage(used, catalogue)) == [
        ("line_basic", 2, 600_000_000),
        ("line_basic_free", 1, 0),
        ("line_basic_tier2", 2, 501_000_000),
        ("line_ready", 2, None),
    ]


@given(
    begin=st.tuples(st.integers(0, 20), st.integers(0, 9)),
    more=st.lists(st.tuples(st.integers(1, 10), st.integers(0, 9)), max_size=3),
    used=st.lists(st.tuples(st.integers(0, 719), st.integers(0, 30)), max_size=8),
    legs=st.integers(1, 2),
)
def test_the_month_costs_what_counting_unit_by_unit_costs(
    begin: tuple[int, int],
    more: list[tuple[int, int]],
    used: list[tuple[int, int]],
    legs: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    free, first = begin
    above, steps = free, [begin]
    for wide, price in more:
        above += wide
        steps.append((above, price))
    tiers = ", ".join(f"{{above = {above}, value = {price}}}" for above, price in steps[1:])
    text = row("beam_requests", first, free=free, legs=legs, tiers=f"[{tiers}]")
    catalogue = with_table(tmp_path_factory.mktemp("t"), HEAD + text)
    yen = Fraction()
    for unit in range(1, legs * sum(quantity for _, quantity in used) + 1):
        beyond = [price for above, price in steps if unit > above]
        yen += beyond[-1] if beyond else 0
    charges = rate_usage([use(quantity, hour=hour) for hour, quantity in used], catalogue)
    assert sum(c.amount_micro_yen or 0 for c in charges) == yen * 10**6
    assert sum(c.quantity for c in charges) == legs * sum(quantity for _, quantity in used)
    assert all(c.quantity > 0 for c in charges)


BAD = [
    (row("beam_requests", 1, free=-1), "VPG1107", 6),
    (row("beam_requests", 1, free="true"), "VPG1107", 6),
    (row("beam_requests", 1, per='"sim"'), "VPG1107", 6),
    (row("beam_requests", 1, legs=3), "VPG1107", 6),
    (row("line_basic", 1, legs=1), "VPG1117", 6),
    (row("line_basic", 1, per='"line"'), "VPG1117", 6),
    (row("beam_requests", 1, tiers="5"), "VPG1107", 6),
    (row("beam_requests", 1, tiers=str([0] * 9)), "VPG1107", 6),
    (row("beam_requests", 1, tiers="[{above = 5}]"), "VPG1107", 6),
    (row("beam_requests", 1, tiers='[{above = "x", value = 1}]'), "VPG1107", 6),
    (row("beam_requests", 1, tiers='[{above = 5, value = "x"}]'), "VPG1107", 6),
    (row("beam_requests", 1, tiers="[{above = 5, value = -1}]"), "VPG1107", 6),
    (row("beam_requests", 1, tiers="[{above = 5, value = nan}]"), "VPG1107", 6),
    (row("beam_requests", 1, tiers="[{above = 5, value = 0.0000001}]"), "VPG1107", 6),
    (row("beam_requests", 1, free=5, tiers="[{above = 5, value = 1}]"), "VPG1118", 7),
    (
        row("beam_requests", 1, tiers="[{above = 9, value = 1}, {above = 8, value = 1}]"),
        "VPG1118",
        6,
    ),
    (row("beam_requests", 1, tier="[]"), "VPG1105", 6),
    (row("beam_requests", 0.0000001), "VPG1111", 5),
    ('[[price]]\nitem = "vpg_e"\nunit = "yen/h"\nvalue = 1\nfree = 5\n', "VPG1105", 6),
    ('[[usage]]\nitem = "beam"\nunit = "yen/request"\nvalue = 1\n', "VPG1108", 3),
]


@pytest.mark.parametrize(("text", "code", "line"), BAD)
def test_a_row_that_cannot_be_meant_says_where(
    tmp_path: Path, text: str, code: str, line: int
) -> None:
    assert [spot[:2] for spot in spots(problems_of(tmp_path, HEAD + text))] == [(code, line)]


def test_the_catalogue_tells_every_part_of_a_price_and_knows_it_by_its_digest(
    in_tmp: Path,
) -> None:
    texts = [
        HEAD + row("beam_requests", 0.0009, **more)
        for more in (
            {},
            {"free": 5},
            {"free": 5, "legs": 2},
            {"free": 5, "per": '"line"'},
            {"free": 5, "tiers": "[{above = 9, value = 0.0008}]"},
        )
    ]
    digests = {with_table(in_tmp, text).sha256 for text in texts}
    assert len(digests) == len(texts)
    lines = {
        lang: vpg("--lang", lang, "catalogue", "--catalogue", "mine.toml").out
        for lang in ("en", "ja")
    }
    assert all("9:0.0008" in said and "0.0009" in said for said in lines.values())
    table = vpg("catalogue", "--catalogue", "mine.toml", "--csv").out.splitlines()
    assert table[0].endswith("table,free,per,legs,tiers")
    usage = next(one for one in table if one.startswith("usage"))
    assert usage.endswith("5,account,1,9:0.0008")


def test_a_scale_is_told_apart_by_every_unit() -> None:
    scale = Scale(free=2, tiers=(Tier(4, 1), Tier(5, 0)))
    cut = [part for before in range(7) for part in scale.split("r", 3, before, 1)]
    assert [(p.bill_item, p.micro_yen) for p in cut] == [
        ("r_free", 0),
        ("r_free", 0),
        ("r", 3),
        ("r", 3),
        ("r_tier2", 1),
        ("r_tier3", 0),
        ("r_tier3", 0),
    ]
    assert scale.split("r", 3, 7, 0) == []
