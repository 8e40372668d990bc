"""Rating months, tax, rounding, month to date, and the two forms of a bill."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from tests.support_rating import APRIL_2026_US, hour_row, utc_us, with_table
from vpg.billing.money import yen_text
from vpg.billing.month import bill_csv, bill_document, bill_months, month_to_date
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError
from vpg.rating.charges import ChargePolicy, ChargeRow, rate_hours
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.billing.policy import Rounding


def charge(
    hour_us: int, micro_yen: int | None, *, vpg_id: str = "v", item: str = "fixed_ip"
) -> ChargeRow:
    """Return a charge of one unit at ``micro_yen``."""
    return ChargeRow(
        vpg_id=vpg_id,
        hour_start_us=hour_us,
        bill_item=item,
        quantity=1,
        unit_price_micro_yen=micro_yen,
        amount_micro_yen=micro_yen,
    )


@pytest.mark.parametrize(
    ("kind", "hours", "yen"),
    [
        (("C", "small"), 720, 36_000),
        (("C", "medium"), 720, 72_000),
        (("C", "large"), 744, 223_200),
        (("D", "small"), 744, 223_200),
        (("D", "medium"), 720, 432_000),
        (("D", "large"), 744, 1_339_200),
    ],
)
def test_a_month_of_one_vpg(kind: tuple[str, str], hours: int, yen: int) -> None:
    # April has 720 hours, May 744: begin in the month that fits.
    begins = APRIL_2026_US if hours == 720 else utc_us(2026, 5, 1)
    rows = [
        hour_row(hour_start_us=begins + h * HOUR_US, type=kind[0], size=kind[1])
        for h in range(hours)
    ]
    catalogue = load_catalogue()
    bill = bill_months(rate_hours(rows, catalogue, ChargePolicy()), catalogue, "monthly_total")
    [month] = bill.months
    assert (bill.tax_excluded_yen, bill.tax_yen, bill.tax_included_yen) == (
        yen,
        yen // 10,
        yen // 10 * 11,
    )
    assert month.items[0].quantity == hours
    assert bill.complete
    assert bill.unpriced == ()


def test_the_month_turns_at_nine_in_the_morning_in_japan() -> None:
    charges = [charge(APRIL_2026_US - HOUR_US, 10**6), charge(APRIL_2026_US, 2 * 10**6)]
    bill = bill_months(charges, load_catalogue(), "monthly_total")
    assert [(m.month, m.tax_excluded_yen) for m in bill.months] == [("202603", 1), ("202604", 2)]
    assert bill.tax_included_yen == 2 + 3  # 1.1 and 2.2, each month rounded up


def test_the_tax_rate_is_that_of_the_months_first_instant() -> None:
    # The rate rose at 2019-09-30 15:00 UTC, inside the rating month of September.
    charges = [charge(utc_us(2019, 9, 30, 20), 100 * 10**6), charge(utc_us(2019, 10, 1), 10**8)]
    bill = bill_months(charges, load_catalogue(), "monthly_total")
    assert [(m.tax_ppm, m.tax_yen) for m in bill.months] == [(80_000, 8), (100_000, 10)]


def test_a_month_without_a_known_tax_rate_is_an_error() -> None:
    with pytest.raises(InputError, match="VPG1121"):
        bill_months([charge(0, 1)], load_catalogue(), "monthly_total")


@pytest.mark.parametrize(
    ("rounding", "excluded", "included"),
    [
        # 15 + 15 + 16 yen: 46 → 50.6; items 15 → 16.5 and 31 → 34.1; days 30 → 33 and 16 → 17.6.
        ("monthly_total", 46, 51),
        ("per_item", 46, 17 + 35),
        ("per_day", 46, 33 + 18),
    ],
)
def test_the_level_of_rounding(rounding: Rounding, excluded: int, included: int) -> None:
    day = 24 * HOUR_US
    charges = [
        charge(APRIL_2026_US, 15 * 10**6, item="vif"),
        charge(APRIL_2026_US + day - HOUR_US, 15 * 10**6),
        charge(APRIL_2026_US + day, 16 * 10**6),
    ]
    bill = bill_months(charges, load_catalogue(), rounding)
    assert (bill.tax_excluded_yen, bill.tax_included_yen) == (excluded, included)
    assert bill.tax_yen == included - excluded
    assert bill.rounding == rounding


@pytest.mark.parametrize(
    ("rounding", "excluded", "included"),
    [("monthly_total", 2, 2), ("per_item", 3, 3), ("per_day", 2, 2)],
)
def test_fractions_of_a_yen_are_rounded_up_once_per_part(
    rounding: Rounding, excluded: int, included: int
) -> None:
    charges = [
        charge(APRIL_2026_US, 500_000, vpg_id=v, item=i)
        for v, i in (("a", "vif"), ("a", "vpn"), ("b", "vif"))
    ]
    bill = bill_months(charges, load_catalogue(), rounding)
    assert (bill.tax_excluded_yen, bill.tax_included_yen) == (excluded, included)
    assert bill.months[0].tax_excluded_micro_yen == 1_500_000


def test_unpriced_items_make_the_bill_incomplete_and_are_named_once() -> None:
    charges = [
        charge(APRIL_2026_US, None, vpg_id="e", item="vpg_e"),
        charge(APRIL_2026_US + HOUR_US, None, vpg_id="e", item="vpg_e"),
        charge(APRIL_2026_US, 10**7, vpg_id="e", item="vpn"),
    ]
    bill = bill_months(charges, load_catalogue(), "monthly_total")
    assert not bill.complete
    assert bill.unpriced == (("e", "vpg_e"),)
    assert bill.tax_included_yen == 11
    assert [(i.bill_item, i.quantity, i.amount_micro_yen) for i in bill.months[0].items] == [
        ("vpg_e", 2, None),
        ("vpn", 1, 10**7),
    ]


def test_an_item_whose_price_changed_is_shown_at_each_price(tmp_path: Path) -> None:
    text = (
        "effective_from = 2026-04-02\nreplace = true\n"
        '[[price]]\nitem = "vpg_c_small"\nvalue = 60.5\nunit = "yen/h"\n'
    )
    catalogue = with_table(tmp_path, text)
    rows = [hour_row(h) for h in range(24)]
    bill = bill_months(rate_hours(rows, catalogue, ChargePolicy()), catalogue, "monthly_total")
    assert [(i.quantity, i.unit_price_micro_yen) for i in bill.months[0].items] == [
        (15, 50_000_000),
        (9, 60_500_000),
    ]
    assert bill.tax_excluded_yen == 1_295  # 750 + 544.5
    assert bill.tax_included_yen == 1_424  # 1,423.95


@pytest.mark.parametrize(
    ("micro_yen", "text"),
    [(0, "0"), (1, "0.000001"), (10, "0.00001"), (16_500_000, "16.5"), (10**9, "1000")],
)
def test_yen_are_exact_decimal_text(micro_yen: int, text: str) -> None:
    assert yen_text(micro_yen) == text


def test_no_charges_make_an_empty_complete_bill() -> None:
    bill = bill_months([], load_catalogue(), "monthly_total")
    assert (bill.months, bill.tax_included_yen, bill.complete) == ((), 0, True)
    assert month_to_date([]) == []
    assert bill_csv(bill) == "\ufeffvpgId,date,billItemName,unitPrice,quantity,amount\r\n"


def test_month_to_date_runs_over_all_vpgs_and_starts_anew_each_month() -> None:
    before = APRIL_2026_US - HOUR_US
    charges = [
        charge(APRIL_2026_US + HOUR_US, 4),
        charge(before, 1),
        charge(APRIL_2026_US, 2, vpg_id="a"),
        charge(APRIL_2026_US, 3, vpg_id="b"),
        charge(APRIL_2026_US, None, vpg_id="c"),
    ]
    assert month_to_date(charges) == [
        (before, "202603", 1),
        (APRIL_2026_US, "202604", 5),
        (APRIL_2026_US + HOUR_US, "202604", 9),
    ]


def test_the_document_and_the_csv_say_the_same() -> None:
    charges = [
        charge(APRIL_2026_US, 16_500_000, vpg_id='a"b,c', item="vif"),
        charge(APRIL_2026_US, None, item="vpg_g"),
    ]
    bill = bill_months(charges, load_catalogue(), "monthly_total")
    document = json.loads(json.dumps(bill_document(bill)))
    [month] = document["months"]
    assert next(iter(document)) == "schema_version"
    assert document["unpriced"] == [{"vpg_id": "v", "bill_item": "vpg_g"}]
    assert (month["month_to_date_yen"], month["tax_excluded_yen"]) == ("16.5", 17)
    assert month["items"][0] == {
        "vpg_id": 'a"b,c',
        "bill_item": "vif",
        "quantity": 1,
        "unit_price_yen": "16.5",
        "amount_yen": "16.5",
    }
    text = bill_csv(bill)
    assert text.encode().startswith(b"\xef\xbb\xbfvpgId,")
    assert text.count("\r\n") == text.count("\n") == 7
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [tuple(row.values()) for row in rows] == [
        ('a"b,c', "202604", "vif", "16.5", "1", "16.5"),
        ("v", "202604", "vpg_g", "", "1", ""),
        ("", "202604", "total_tax_excluded", "", "", "17"),
        ("", "202604", "consumption_tax", "", "", "2"),
        ("", "202604", "total_tax_included", "", "", "19"),
        ("v", "202604", "incomplete: vpg_g", "", "", ""),
    ]
    complete = bill_csv(bill_months(charges[:1], load_catalogue(), "monthly_total"))
    assert "incomplete" not in complete
