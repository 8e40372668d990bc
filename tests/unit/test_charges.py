"""What one clock hour of a VPG owes, item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support_rating import hour_row, utc_us, with_table
from vpg.catalogue.load import load_catalogue
from vpg.errors import EnsureError
from vpg.rating.charges import ChargePolicy, rate_hours

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.rating.hourly import HourlyRow

Owed = dict[str, int]


def owed(*rows: HourlyRow, **policy: Any) -> Owed:
    """Return quantity by bill item of ``rows`` (one VPG, one hour)."""
    charges = rate_hours(rows, load_catalogue(), ChargePolicy(**policy))
    assert all(c.amount_micro_yen is None or c.unit_price_micro_yen is not None for c in charges)
    return {c.bill_item: c.quantity for c in charges}


@pytest.mark.parametrize(
    ("connections", "one_in_total", "one_of_each"),
    [
        ((0, 0, 0), {}, {}),
        ((1, 0, 0), {}, {}),
        ((0, 0, 1), {}, {}),
        ((1, 1, 0), {"vif": 1}, {}),
        ((0, 1, 1), {"vpn": 1}, {}),
        ((1, 1, 1), {"vif": 1, "vpn": 1}, {}),
        ((3, 2, 2), {"peering": 2, "vif": 2, "vpn": 2}, {"peering": 2, "vif": 1, "vpn": 1}),
    ],
)
def test_connections_beyond_the_included_one(
    connections: tuple[int, int, int], one_in_total: Owed, one_of_each: Owed
) -> None:
    peering, vif, vpn = connections
    row = hour_row(type="D", peering_peak=peering, vif_peak=vif, vpn_peak=vpn)
    base = {"vpg_d_small": 1}
    assert owed(row) == base | one_in_total
    assert owed(row, included_connection="one_of_each") == base | one_of_each
    assert sum(one_in_total.values()) == max(0, sum(connections) - 1)


@pytest.mark.parametrize(
    ("lines", "units"), [(0, 1), (1, 1), (10_000, 1), (10_001, 2), (20_000, 2), (20_001, 3)]
)
def test_inspection_units_are_per_started_ten_thousand_and_at_least_one(
    lines: int, units: int
) -> None:
    row = hour_row(junction_on=1, inspection_on=1, lines_inspected=lines)
    rest = {"vpg_c_small": 1, "junction_base": 1}
    assert owed(row) == rest | {"junction_inspection": units}
    assert owed(row, inspection="first_10000") == rest | {"junction_inspection": 1}


def test_junction_base_is_owed_beside_inspection_unless_read_otherwise() -> None:
    mirrored = hour_row(junction_on=1)
    inspected = hour_row(junction_on=1, inspection_on=1)
    assert owed(mirrored) == {"vpg_c_small": 1, "junction_base": 1}
    assert owed(mirrored, junction_inspection="inspection_only") == owed(mirrored)
    alone = owed(inspected, junction_inspection="inspection_only")
    assert alone == {"vpg_c_small": 1, "junction_inspection": 1}
    assert owed(hour_row(inspection_on=1))["junction_base"] == 1


def test_inspection_unit_can_be_changed_and_its_absence_leaves_the_hour_unpriced(
    tmp_path: Path,
) -> None:
    row = hour_row(junction_on=1, inspection_on=1, lines_inspected=10)
    text = (
        "effective_from = 2026-01-01\nreplace = true\nvalid_until = 2026-04-30\n[[limit]]\n"
        'item = "inspection_lines_per_unit"\nvalue = 4\nunit = "lines"\n'
    )
    catalogue = with_table(tmp_path, text)
    [units] = [
        c
        for c in rate_hours([row], catalogue, ChargePolicy())
        if c.bill_item.endswith("inspection")
    ]
    assert (units.quantity, units.amount_micro_yen) == (3, 300_000_000)
    early = hour_row(hour_start_us=0, junction_on=1, inspection_on=1, lines_inspected=10**6)
    charges = rate_hours([early], load_catalogue(), ChargePolicy())
    assert [(c.bill_item, c.quantity, c.amount_micro_yen) for c in charges] == [
        ("junction_base", 1, None),
        ("junction_inspection", 1, None),
        ("vpg_c_small", 1, None),
    ]


def test_an_hour_with_two_sizes_owes_both_or_the_dearer() -> None:
    small, large = hour_row(), hour_row(config_seq=1, size="large")
    back = hour_row(config_seq=2)
    assert owed(small, large, back) == {"vpg_c_small": 1, "vpg_c_large": 1}
    assert owed(small, large, back, resize_hour="dearer") == {"vpg_c_large": 1}
    assert owed(small, resize_hour="dearer") == {"vpg_c_small": 1}


def test_of_two_equally_dear_types_the_later_is_owed() -> None:
    rows = [hour_row(size="large"), hour_row(config_seq=1, type="D")]
    assert owed(*rows, resize_hour="dearer") == {"vpg_d_small": 1}


def test_an_unpriced_type_in_the_hour_of_a_change_hides_nothing() -> None:
    rows = [hour_row(), hour_row(config_seq=1, type="F2", size="")]
    assert owed(*rows, resize_hour="dearer") == {"vpg_c_small": 1, "vpg_f2": 1}
    charges = rate_hours(rows, load_catalogue(), ChargePolicy())
    assert [(c.bill_item, c.unit_price_micro_yen, c.amount_micro_yen) for c in charges] == [
        ("vpg_c_small", 50_000_000, 50_000_000),
        ("vpg_f2", None, None),
    ]


def test_extras_take_the_most_of_the_hour_over_its_rows() -> None:
    first = hour_row(peering_peak=1, fixed_ip_sets=3, junction_on=1)
    then = hour_row(config_seq=1, size="medium", vpn_peak=2, fixed_ip_sets=1)
    assert owed(first, then) == {
        "vpg_c_small": 1,
        "vpg_c_medium": 1,
        "fixed_ip": 3,
        "junction_base": 1,
        "vpn": 2,
    }


def test_inspected_lines_are_the_most_of_the_hours_rows() -> None:
    rows = [hour_row(inspection_on=1, lines_inspected=n, config_seq=n) for n in (9, 10_001, 7)]
    assert owed(*rows)["junction_inspection"] == 2


def test_one_off_fees_are_counted_even_where_the_vpg_did_not_exist() -> None:
    first = hour_row(one_off="contract_fee_c,change_fee_d")
    gone = hour_row(config_seq=1, vpg_exists=0, fixed_ip_sets=9, one_off="contract_fee_c")
    assert owed(first, gone) == {"vpg_c_small": 1, "contract_fee_c": 2, "change_fee_d": 1}
    assert owed(hour_row(vpg_exists=0, peering_peak=5)) == {}


def test_an_unknown_one_off_fee_is_a_bug_of_ours() -> None:
    with pytest.raises(EnsureError, match="contract_fee_z"):
        owed(hour_row(one_off="contract_fee_z"))


def test_a_price_change_takes_effect_in_the_hour_it_begins(tmp_path: Path) -> None:
    text = (
        "effective_from = 2026-04-02\nreplace = true\n"
        '[[price]]\nitem = "vpg_c_small"\nvalue = 60.5\nunit = "yen/h"\n'
    )
    # 2026-04-02 00:00 JST is the hour 15 of the rating month's first UTC day.
    charges = rate_hours(
        [hour_row(h) for h in (14, 15)], with_table(tmp_path, text), ChargePolicy()
    )
    assert [c.amount_micro_yen for c in charges] == [50_000_000, 60_500_000]


def test_charges_come_sorted_and_do_not_depend_on_the_order_of_rows() -> None:
    rows = [hour_row(h, vpg_id=v, junction_on=1) for v in ("b", "a") for h in (3, 1)]
    charges = rate_hours(rows, load_catalogue(), ChargePolicy())
    assert charges == rate_hours(rows[::-1], load_catalogue(), ChargePolicy())
    keys = [(c.vpg_id, c.hour_start_us, c.bill_item) for c in charges]
    assert keys == sorted(keys)
    assert len(set(keys)) == 8


def test_one_hour_before_any_price_is_unpriced_not_free() -> None:
    rows = [hour_row(hour_start_us=utc_us(2019, 9, 30, 14))]
    [charge] = rate_hours(rows, load_catalogue(), ChargePolicy())
    assert charge.amount_micro_yen is None
