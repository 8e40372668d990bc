"""A month's facts from a file: every table read, every mistake told at its place."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from tests.support_billing import CATALOGUE, MONTH, YEN
from vpg.billing.calendar import BusinessCalendar, month_bounds_us
from vpg.billing.inputs_build import Figures
from vpg.billing.inputs_file import (
    FILE_BYTES_MAX,
    NOTHING,
    load_inputs,
    month_inputs,
    placed,
    read_inputs,
)
from vpg.billing.invoice import invoices
from vpg.billing.policy import InvoicePolicy
from vpg.errors import InputError, Place, Problem
from vpg.rating.charges import charge
from vpg.rating.late import Correction

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.billing.inputs import MonthInputs
    from vpg.billing.inputs_file import BillInputs

HEAD = 'payer = "B"\nmethod = "card"\ncoverages_apart = true\nas_of = 2026-05-08T00:00:00+09:00\n'
RATE = '[[rate]]\nmonth="202604"\nlabel="TTS"\nyen_per_usd='
PRICE = '[[line]]\nitem="a"\nquantity=1\nprice='
COUPON = 'id="c"\nbalance_yen=1\nfirst_month="202604"\nlast_month="202604"'
SUPPORT = '[[support]]\nplan="basic"\nfirst_on=2026-04-01\n'
TAG = '[[tag]]\nthing="a"\nname="b"\nvalue="x"\n'
OPERATORS = '[[operator]]\nid = "A"\nvpgs = ["gate"]\n[[operator]]\nid = "B"\nlast = true\n'
EVERY = """
[policy]
rounding = "per_item"
[names]
vpg_c_small = "VPG C"
[[coupon]]
id = "c"
balance_yen = 5
first_month = "202601"
last_month = "202612"
[[coupon_purchase]]
operator = "A"
id = "p"
yen = 1000
bought_on = 2026-04-02
[[goods]]
item = "sim"
quantity = 2
price = 820.5
dispatched_on = 2026-04-03
[[discount]]
id = "d"
sims = 5
first_month = "202604"
price = 275
base_fee = 300
[[late_payment]]
invoice_id = "x"
principal_yen = 1000
due_on = 2026-02-28
paid_on = 2026-03-31
[[outage]]
service = "vpg"
began = 2026-04-02T00:00:00+09:00
aware = 2026-04-02T00:00:00+09:00
ended = 2026-04-03T00:00:00Z
complete = true
fault = "provider"
known_on = 2026-04-03
claimed_on = 2026-04-10
month = "202604"
hourly_fee = 50
month_fee = 36000
[[support]]
operator = "A"
plan = "enterprise"
first_on = 2026-01-01
quote_yen = 100000
[[sla_claim]]
violated_on = 2026-04-05
claimed_on = 2026-04-06
asked_yen = 100
month_fee_yen = 9800
[[flux_plan]]
coverage = "GL"
name = "standard"
month_fee = 500
events = 100
credits = 10
[[flux_plan]]
name = "standard"
events = 100
credits = 10
[[flux]]
coverage = "GL"
plans = ["standard"]
events = 150
credits = 0
[[rate]]
month = "202604"
label = "TTS"
yen_per_usd = 151.23
[[carried_over]]
coverage = "GL"
month = "202603"
tax_excluded = 0.4
tax_included = 0.4
[[line]]
item = "air"
quantity = 1000
price = 0.0002
imsi = "4401"
unit = "byte"
[[line]]
operator = "A"
coverage = "GL"
kind = "correction"
month = "202603"
item = "beam"
quantity = -1
[[tag]]
thing = "4401"
name = "site"
value = "Osaka"
[[tag]]
thing = "4401"
name = "phone"
value = "080"
[[tag]]
thing = "gate"
name = "site"
value = "Kobe"
[[late_usage]]
run = "late"
arrived = 2026-05-07T12:00:00+09:00
version = 1
"""


def meant(text: str, figures: Figures | None = None, **more: Any) -> MonthInputs:
    return inputs_of(read_inputs(text, "april.toml"), figures, **more)


def inputs_of(given: BillInputs, figures: Figures | None = None, **more: Any) -> MonthInputs:
    return month_inputs(
        given,
        figures or Figures(),
        month=MONTH,
        catalogue=CATALOGUE,
        calendar=BusinessCalendar(),
        **more,
    )


def wrong(text: str) -> list[str]:
    """Return ``line:column number path`` of each problem."""
    with pytest.raises(InputError) as caught:
        read_inputs(text, "x")
    return [
        f"{one.place} {one.code} {one.path}".removeprefix("x:") for one in caught.value.problems
    ]


def test_nothing_said_is_one_operator_who_pays_by_mail() -> None:
    inputs = inputs_of(NOTHING)
    assert (inputs.payer.operator_id, inputs.method) == ("operator", "invoice_email")
    assert (inputs.policy, len(inputs.operators)) == (InvoicePolicy(), 1)
    assert NOTHING.late_usage == ()


def test_every_table_becomes_its_value() -> None:
    given = read_inputs(HEAD + EVERY + OPERATORS, "april.toml")
    inputs = inputs_of(given)
    other, payer = inputs.operators
    assert (inputs.payer, inputs.method, inputs.coverages_apart) == (payer.operator, "card", True)
    assert inputs.policy == InvoicePolicy(rounding="per_item")
    assert given.names == {"vpg_c_small": "VPG C"}
    assert (payer.last, other.last) == (True, False)
    assert [(c.coupon_id, c.operator_id, c.balance_yen) for c in payer.coupons] == [("c", "B", 5)]
    assert [(p.coupon_id, p.yen) for p in other.coupon_purchases] == [("p", 1000)]
    assert [(g.item, g.unit_price_micro) for g in payer.goods] == [("sim", 820_500_000)]
    assert [(d.discount_id, d.price_micro, d.base_fee_micro) for d in payer.discounts] == [
        ("d", 275 * YEN, 300 * YEN)
    ]
    assert [(p.invoice_id, p.paid_on) for p in payer.late_payments] == [("x", dt.date(2026, 3, 31))]
    [outage] = payer.outages
    assert outage.ended_us - outage.began_us == 33 * 3_600_000_000
    assert (outage.hourly_fee_micro, outage.month_fee_micro) == (50 * YEN, 36_000 * YEN)
    assert other.support is not None
    assert (other.support.quote_yen, payer.support) == (100_000, None)
    assert [claim.asked_yen for claim in payer.sla_claims] == [100]
    [part] = payer.flux
    assert (part.coverage, part.table["standard"].month_fee_micro) == ("GL", 500 * YEN)
    assert [rate.micro_yen_per_usd for rate in payer.fx] == [151_230_000]
    assert [(one.currency, one.tax_included_minor) for one in payer.carried_in] == [("USD", 40)]
    [air] = payer.lines
    assert (air.kind, air.month, air.amount_micro) == ("usage", MONTH, 200_000)
    assert air.tags == (("site", "Osaka"), ("phone", "080"))
    [late] = other.lines
    assert (late.kind, late.month, late.unit_price_micro, late.tags) == (
        "correction", "202603", None, ()
    )  # fmt: skip
    [usage] = given.late_usage
    assert (usage.run, usage.version, usage.place) == (
        "late",
        1,
        Place(file="april.toml", line=108, column=7),
    )
    assert invoices(inputs, CATALOGUE)


def test_what_was_metered_goes_to_who_names_the_vpg() -> None:
    begin = month_bounds_us(MONTH)[0]
    rows = [charge(vpg, begin, "vpg_c_small", 1, YEN) for vpg in ("gate", "spare")]
    late = [Correction(begin - 1, row) for row in rows]
    figures = Figures(charges=rows, corrections=late)
    other, payer = meant(HEAD + OPERATORS, figures).operators
    assert (list(other.charges), list(payer.charges)) == ([rows[0]], [rows[1]])
    assert (list(other.corrections), list(payer.corrections)) == ([late[0]], [late[1]])


def test_readings_of_the_run_hold_unless_the_file_says_otherwise() -> None:
    run = InvoicePolicy(rounding="per_day", small_month="bill")
    policy = meant('[policy]\nrounding = "per_item"', policy=run).policy
    assert policy == InvoicePolicy(rounding="per_item", small_month="bill")


def test_every_mistake_is_told_at_once_where_it_stands() -> None:
    text = (
        'methud = "card"\nmethod = "cash"\n[policy]\nrounding = "x"\nnew = 1\n[names]\na = 1\n'
        'b = "x"\nc = "x"\n[[coupon]]\nid = "c"\nbalance_yen = -1\nlast_month = "2026-04"\n'
    )
    assert wrong(text) == [
        "1:1 VPG1716 methud",
        "2:10 VPG1717 method",
        "4:12 VPG1717 policy.rounding",
        "5:1 VPG1716 policy.new",
        "7:5 VPG1717 names.a",
        "9:5 VPG1719 names.c",
        "10:1 VPG1718 coupon[0].first_month",
        "12:15 VPG1717 coupon[0].balance_yen",
        "13:14 VPG1717 coupon[0].last_month",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("policy = 1", "1:10 VPG1717 policy"),
        ("[coupon]\nid = 1", "1:1 VPG1717 coupon"),
        (RATE + "0", "4:13 VPG1717 rate[0].yen_per_usd"),
        (RATE + "true", "4:13 VPG1717 rate[0].yen_per_usd"),
        (PRICE + "1e-7", "4:7 VPG1717 line[0].price"),
        (PRICE + "nan", "4:7 VPG1717 line[0].price"),
        (PRICE + "1e99999999999999999999", "4:7 VPG1717 line[0].price"),
        (PRICE + "1.000000000000000000001", "4:7 VPG1717 line[0].price"),
        (PRICE + '"1"', "4:7 VPG1717 line[0].price"),
        ('[[line]]\nitem="a\\u0000"\nquantity=1', "2:6 VPG1717 line[0].item"),
        ('[[line]]\nitem=""\nquantity=true', "2:6 VPG1717 line[0].item"),
        ('[[tag]]\nthing="a"\nname="amount"\nvalue="x"', "3:6 VPG1717 tag[0].name"),
        (TAG + "[[flux]]\nplans=[]\nevents=0\ncredits=0", "6:7 VPG1717 flux[0].plans"),
        ("as_of = 2026-05-08T00:00:00", "1:9 VPG1717 as_of"),
        ("last = true", "1:1 VPG1716 last"),
        ('[[coupon]]\noperator="Z"\n' + COUPON, "2:10 VPG1717 coupon[0].operator"),
        (
            '[[operator]]\nid="A"\nvpgs=["v"]\n[[operator]]\nid="B"\nvpgs=["v"]',
            "6:6 VPG1719 operator[1].vpgs",
        ),
        ('[[operator]]\nid="A"\nlast=1', "3:6 VPG1717 operator[0].last"),
        (SUPPORT * 2, "4:1 VPG1719 support[1].operator"),
        ("a = ", "1:5 VPG1715 "),
    ],
)
def test_a_value_that_cannot_be_is_told(text: str, place: str) -> None:
    assert wrong(text)[0] == place


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    for data in (b"\xff", b"#" * (FILE_BYTES_MAX + 1), b"a = " + b"[" * 5_000):
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            load_inputs(path)
        assert [one.code for one in caught.value.problems] == ["VPG1715"]
    with pytest.raises(InputError):
        load_inputs(tmp_path / "absent.toml")
    path.write_text('method = "card"\r\n', encoding="utf-8-sig", newline="")
    assert load_inputs(path).head == {"method": "card"}


def test_what_the_invoice_complains_about_is_found_in_the_file() -> None:
    text = (
        'payer = "A"\n[[operator]]\nid = "A"\n[[line]]\nitem = "a"\nquantity = 1\n'
        '[[line]]\nitem = "b"\nmonth = "202603"\nquantity = 1\n'
    )
    given = read_inputs(text, "x")
    inputs = inputs_of(given)
    with pytest.raises(InputError) as caught:
        invoices(inputs, CATALOGUE)
    assert [str(one.place) for one in placed(caught.value, given, inputs).problems] == ["x:7:1"]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("operators[0]", "x:2:1"),
        ("operators[0].lines[9]", "x"),
        ("operators[0].corrections[0]", "x:2:1"),
        ("payer", "x:1:9"),
        ("", "x"),
    ],
)
def test_a_problem_gets_the_nearest_place(path: str, place: str) -> None:
    given = read_inputs('payer = "A"\n[[operator]]\nid = "A"\n', "x")
    error = InputError([Problem(code="VPG1711", path=path)])
    assert [str(one.place) for one in placed(error, given, inputs_of(given)).problems] == [place]
    assert placed(error, NOTHING, None) is error
    known = InputError([Problem(code="VPG1711", place=Place(file="y"))])
    assert placed(known, given, None).problems == known.problems


def test_a_payer_who_is_no_operator_is_refused_later() -> None:
    inputs = meant('payer = "Z"\n[[operator]]\nid = "A"\n')
    assert inputs.payer.operator_id == "Z"
    with pytest.raises(InputError):
        invoices(inputs, CATALOGUE)
