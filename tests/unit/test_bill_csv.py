"""The CSVs of a bill: columns, bytes, and every kind of bad input with its exact place."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support_billing import (
    CATALOGUE,
    MONTH,
    OPERATOR,
    YEN,
    fee,
    month_of,
    owes,
    policy,
    rates,
)
from vpg.billing.calendar import month_bounds_us
from vpg.billing.csv_cells import as_meant, harmless
from vpg.billing.csv_detail import DetailRow, detail_csv, detail_parts, read_detail
from vpg.billing.csv_portal import portal_csv, portal_rows, read_portal
from vpg.billing.goods import Goods
from vpg.billing.invoice import invoices
from vpg.errors import InputError
from vpg.rating.charges import charge
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.billing.csv_detail import Part
    from vpg.rating.charges import ChargeRow

HEAD = "vpgId,date,billItemName,unitPrice,quantity,amount"
GOOD = "gate,20260401,vpg_c_small,50,24,1200"
APRIL_3 = dt.date(2026, 4, 3)
PORTAL = ",202604,basic,300,,外税10%"


def hour(vpg_id: str, number: int, item: str, price: int) -> ChargeRow:
    """Return one unit of ``item`` in an hour of April 2026."""
    return charge(vpg_id, month_bounds_us(MONTH)[0] + number * HOUR_US, item, 1, price)


def problems(text: str | bytes, **more: Any) -> list[tuple[int, int, str]]:
    """Return (line, column, number) of what is wrong with a detail CSV of April 2026."""
    data = text.encode() if isinstance(text, str) else text
    fields: dict[str, Any] = {"month": MONTH, "currency": "JPY"} | more
    with pytest.raises(InputError) as caught:
        read_detail(data, **fields)
    return told(caught.value)


def told(error: InputError) -> list[tuple[int, int, str]]:
    places = [(one.place, one.code) for one in error.problems]
    return [(place.line, place.column, code) for place, code in places if place is not None]


def sheet(*rows: str, head: str = HEAD) -> str:
    return "\r\n".join([head, *rows, ""])


# ---- the provider's detail -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ("gate,20260401,vpg_c_small,50,24,1,200", (2, 1, "VPG1722")),
        ('gate,20260401,vpg_c_small,50,24,"1,200"', (2, 33, "VPG1724")),
        ("gate,20260401,vpg_c_small,50,２４,1200", (2, 30, "VPG1725")),
        ("gate,20260401,vpg_c_small,¥50,24,1200", (2, 27, "VPG1726")),
        ("gate,20260401,vpg_c_small,50,24,12 USD", (2, 33, "VPG1726")),
        ("gate,20260401,vpg_c_small,5e1,24,1200", (2, 27, "VPG1727")),
        ("gate,20260401,vpg_c_small,50,2.5,125", (2, 30, "VPG1727")),
        ("gate,20260401,vpg_c_small,0.0000000000001,1,0", (2, 27, "VPG1727")),
        ("gate,20260401,vpg_c_small,1234567890123456789,1,0", (2, 27, "VPG1727")),
        ("gate,2026-04-01,vpg_c_small,50,24,1200", (2, 6, "VPG1728")),
        ("gate,20260431,vpg_c_small,50,24,1200", (2, 6, "VPG1728")),
        ("gate,20260501,vpg_c_small,50,24,1200", (2, 6, "VPG1731")),
        ("gate,20260401,vpg_c_small,,24,1200", (2, 27, "VPG1739")),
        ("gate,20260401,,50,24,1200", (2, 15, "VPG1740")),
        ('gate,20260401,"a"b,50,24,1200', (2, 1, "VPG1723")),
    ],
)
def test_a_bad_row_is_told_with_its_place(row: str, wanted: tuple[int, int, str]) -> None:
    assert problems(sheet(row, GOOD)) == [wanted]


def test_all_is_told_at_once_behind_quotes_and_lines_too() -> None:
    rows = ('"a\nb",20260401,"x,y",1,1,１', GOOD, "", GOOD, "gate,x,i,1,1,1")
    assert problems(sheet(*rows)) == [(3, 23, "VPG1725"), (6, 1, "VPG1729"), (7, 6, "VPG1728")]


def test_a_wrong_header_ends_it() -> None:
    assert problems(sheet(GOOD, head=HEAD.replace("quantity", "quantitiy"))) == [(1, 1, "VPG1720")]
    twice = problems(sheet(f"{GOOD},1", head=f"{HEAD},amount"))
    assert twice == [(1, 51, "VPG1721")]


def test_another_month_or_no_row_is_refused() -> None:
    assert problems(sheet("gate,20260331,vpg_c_small,50,24,1200")) == [(2, 6, "VPG1730")]
    assert problems(sheet()) == [(1, 1, "VPG1732")]
    assert problems("\ufeff") == [(1, 1, "VPG1732")]


def test_another_currency_in_a_column_of_its_own() -> None:
    rows = (f"{GOOD},USD", GOOD.replace("gate", "b") + ",JPY")
    assert problems(sheet(*rows, head=f"{HEAD},currency")) == [(2, 38, "VPG1726")]
    assert len(read_detail(sheet(*rows[1:], head=f"{HEAD},通貨").encode(), **APRIL)) == 1


APRIL: dict[str, Any] = {"month": MONTH, "currency": "JPY"}


def test_two_encodings_in_one_file() -> None:
    data = sheet("大阪,20260401,a,1,1,1").encode() + "東京,20260402,a,1,1,1\r\n".encode("cp932")
    assert problems(data) == [(3, 1, "VPG1306")]


def test_columns_are_read_by_name_and_empty_lines_left_out() -> None:
    text = "amount,quantity,unitPrice,billItemName,date,site\n5,1,5,a,202604,'=x\n,,,,,\n"
    [row] = read_detail(text.encode(), **APRIL)
    assert (row.amount_pico, row.tags, row.line) == (5 * 10**12, (("site", "=x"),), 2)


# ---- round trips ---------------------------------------------------------------------------------


def parts(**more: Any) -> tuple[Part, ...]:
    """Return an April with hours, a use without a price, goods twice, a day and Global."""
    late = fee(None, item="vpg_g", imsi="4401", day=None)
    usd = fee(1_234_567, "GL", item="=cmd", device_id="d,1")
    sim = Goods(item="sim", quantity=1, unit_price_micro=820 * YEN, dispatched_on=APRIL_3)
    month = owes(
        charges=[hour("gate", at, "vpg_c_small", 50 * YEN) for at in (0, 1, 30)],
        lines=(late, usd, fee(-5 * YEN, item="credit")),
        goods=(sim, sim),
        fx=rates(),
    )
    inputs = month_of(month, policy=policy(**more))
    tags = {"gate": (("site", "=Osaka"),), "d,1": (("名前", "+1"),)}
    return detail_parts(invoices(inputs, CATALOGUE), inputs, CATALOGUE, tags)


@pytest.mark.parametrize("rounding", ["monthly_total", "per_day"])
def test_a_bill_comes_back_as_it_was_written(rounding: str) -> None:
    japan, abroad = parts(rounding=rounding)
    for part in (japan, abroad):
        data = detail_csv(part.rows, {"=cmd": "@data"})
        assert data.startswith(b"\xef\xbb\xbf")
        assert data.count(b"\n") == data.count(b"\r\n") == len(part.rows) + 1
        names = {"=cmd": "@data"}
        back = read_detail(data, month=MONTH, currency=part.currency, names=names)
        assert back == part.rows
    assert japan.operator_id == OPERATOR.operator_id
    said = [(row.date, row.item, row.quantity, row.tags) for row in japan.rows]
    site = (("site", "=Osaka"),)
    assert said == [
        ("20260401", "vpg_c_small", 2, site),
        ("20260402", "vpg_c_small", 1, site),
        ("202604", "vpg_g", 1, ()),
        ("202604", "credit", 1, ()),
        ("20260403", "sim", 2, ()),
    ]
    head = detail_csv(abroad.rows).decode("utf-8-sig").splitlines()
    assert head[0] == "deviceId,date,billItemName,unitPrice,quantity,amount,名前"
    assert head[1] == "\"d,1\",202604,'=cmd,1.234567,1,1.234567,'+1"


def test_goods_by_card_are_rows_once() -> None:
    sim = Goods(item="sim", quantity=1, unit_price_micro=820 * YEN, dispatched_on=APRIL_3)
    month = owes(charges=[hour("gate", 0, "vpg_c_small", 50 * YEN)], goods=(sim,))
    inputs = month_of(month, method="card")
    [part] = detail_parts(invoices(inputs, CATALOGUE), inputs, CATALOGUE)
    assert [(row.item, row.quantity) for row in part.rows] == [("vpg_c_small", 1), ("sim", 1)]


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_the_portals_file_comes_back(encoding: Any, tmp_path: Path) -> None:
    usd = fee(1_234_567, "GL")
    month = owes(
        YEN,
        lines=(
            usd,
            fee(None),
            replace(fee(5 * YEN, item="通話", tax_class="untaxed"), tags=(("phone", "080"),)),
            fee(5 * YEN, item="=含", tax_class="tax_included"),
        ),
        fx=rates(),
    )
    rows = portal_rows(invoices(month_of(month), CATALOGUE))
    path = tmp_path / "a.csv"
    path.write_bytes(portal_csv(rows, encoding, {"fixed_ip": "固定IP"}))
    text = path.read_bytes().decode(encoding)
    assert text.split("\r\n") == [
        ",202604,固定IP,1,,外税10%",
        "080,202604,通話,5,,非課税",
        ",202604,'=含,5,,内税10%",
        ",202604,global_coverage,186,,非課税",
        "",
    ]
    assert read_portal(path, month=MONTH, names={"fixed_ip": "固定IP"}) == rows
    path.write_text(f"電話番号,請求月,費用種別,料金,,税区分\r\n{text}", encoding=encoding)
    assert read_portal(path, month=MONTH, names={"fixed_ip": "固定IP"}) == rows


def test_a_month_of_nothing_abroad_is_no_row() -> None:
    inputs = month_of(owes(lines=(fee(0, "GL"),), fx=rates()))
    assert portal_rows(invoices(inputs, CATALOGUE)) == ()


def test_a_character_that_cp932_lacks_is_named_not_replaced() -> None:
    rows = portal_rows(invoices(month_of(owes(lines=(fee(YEN, item="a한"),))), CATALOGUE))
    with pytest.raises(InputError) as caught:
        portal_csv(rows, "cp932", shown_as="out.csv")
    assert told(caught.value) == [(1, 1, "VPG1736")]
    assert caught.value.problems[0].values["char"] == "한"
    assert portal_csv(rows, "cp932", {"a한": "∵～"})
    for lost in ("¥", "\x80", "\xa0"):  # encoded as another character, or as none
        with pytest.raises(InputError):
            portal_csv(rows, "cp932", {"a한": lost})


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (",202604,a,1,,外税10%,x", (2, 1, "VPG1722")),
        (',202604,a,"1,000",,外税10%', (2, 11, "VPG1724")),
        (",202604,a,1,,10%", (2, 14, "VPG1737")),
        (",20260401,a,1,,非課税", (2, 2, "VPG1728")),
        (",202605,a,1,,非課税", (2, 2, "VPG1731")),
        (',202604,"a"b,1,,非課税', (2, 1, "VPG1723")),
    ],
)
def test_a_bad_row_of_the_portal_is_told(row: str, wanted: tuple[int, int, str]) -> None:
    assert portal_problems(f"{PORTAL}\r\n{row}\r\n,,,,,\r\n") == [wanted]


def portal_problems(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(InputError) as caught:
        read_portal(text.encode(), month=MONTH)
    return told(caught.value)


def test_a_portal_file_of_another_month_or_without_rows() -> None:
    assert portal_problems(",202603,a,1,,非課税\r\n") == [(1, 1, "VPG1730")]
    assert portal_problems("電話,月,種別,料金,,税\r\n") == [(1, 1, "VPG1732")]


# ---- harmless text -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@a", "\tx", "\rx", "＝1", "＋", "－", "＠", " =1"]
)
def test_what_a_spreadsheet_would_run_is_made_harmless(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert as_meant(harmless(text)) == text
    row = DetailRow(date=MONTH, item=text, unit_price_pico=1, quantity=1, amount_pico=1)
    data = detail_csv([row])
    assert f"'{text}".encode() in data
    assert read_detail(data, **APRIL) == (row,)
