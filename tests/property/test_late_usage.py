"""Usage that comes late: any order, any repetition, the same figures; what is final stays so."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_rating import APRIL_2026_US, hour_row, utc_us, with_table
from vpg.billing.calendar import BusinessCalendar, invoice_dates
from vpg.billing.corrections import correction_lines, figures_of_month
from vpg.billing.inputs import MonthInputs, OperatorMonth
from vpg.billing.invoice import invoice
from vpg.billing.model import Operator
from vpg.billing.policy import InvoicePolicy
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError
from vpg.rating.charges import ChargePolicy, ChargeRow, rate_hours
from vpg.rating.late import Arrival, Correction, MonthFigures, check_arrivals, month_figures
from vpg.text import LANGS, render
from vpg.timebase import DAY_US, HOUR_US, next_month_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from vpg.catalogue.model import Catalogue
    from vpg.rating.hourly import HourlyRow

MONTHS = [APRIL_2026_US]
for _ in range(3):
    MONTHS.append(next_month_start(MONTHS[-1]))
END_US = next_month_start(MONTHS[-1]) + 40 * DAY_US
REQUESTS = """\
effective_from = 2026-01-01
[[usage]]
item = "beam_requests"
value = 0.5
unit = "yen/request"
free = 9
"""
KINDS = st.sampled_from([("C", "small"), ("D", "large"), ("E", "")])


def final_us(month_us: int) -> int:
    """Return when a month is final here: two days after its end."""
    return next_month_start(month_us) + 2 * DAY_US


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Draw up to eight rows in four months, each with up to three versions, whenever they come."""
    found = []
    places = st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 2))
    for vpg_id, month, hour in draw(st.lists(places, max_size=8, unique=True)):
        at_us = MONTHS[month] + hour * HOUR_US
        for version in draw(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True)):
            vpg_type, size = draw(KINDS)
            cells: dict[str, Any] = {"type": vpg_type, "size": size}
            cells |= {
                "vpg_exists": draw(st.sampled_from([1, 1, 0])),
                "accepted_beam": draw(st.integers(0, 9)),
            }
            row = hour_row(vpg_id=vpg_id, hour_start_us=at_us, **cells)
            late_us = draw(st.integers(0, 90)) * DAY_US
            found.append(Arrival(row=row, arrived_us=at_us + late_us, version=version))
    return found


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return with_table(tmp_path_factory.mktemp("table"), REQUESTS)


def figures(
    known: Sequence[Arrival], catalogue: Catalogue, month_us: int, at_us: int = END_US
) -> MonthFigures:
    rate = functools.partial(rate_hours, catalogue=catalogue, policy=ChargePolicy())
    return month_figures(known, month_us=month_us, at_us=at_us, final_us=final_us, rate=rate)


def counted(rows: Iterable[ChargeRow]) -> Counter[tuple[object, ...]]:
    """Return the quantity of every charge; taking away what is there leaves nothing."""
    total: Counter[tuple[object, ...]] = Counter()
    for row in rows:
        key = (row.vpg_id, row.hour_start_us, row.bill_item, row.unit_price_micro_yen)
        total[key] += row.quantity
        amount = row.amount_micro_yen
        price = row.unit_price_micro_yen
        assert amount == (None if price is None else price * row.quantity)
    return Counter({key: quantity for key, quantity in total.items() if quantity})


@given(known=arrivals(), data=st.data())
def test_neither_order_nor_repetition_changes_a_figure(
    catalogue: Catalogue, known: list[Arrival], data: st.DataObject
) -> None:
    month_us = data.draw(st.sampled_from(MONTHS))
    at_us = month_us + data.draw(st.integers(0, 120)) * DAY_US
    first = figures(known, catalogue, month_us, at_us)
    again = data.draw(st.lists(st.sampled_from(known))) if known else []
    shuffled = data.draw(st.permutations([*known, *again]))
    assert figures(shuffled, catalogue, month_us, at_us) == first


@given(known=arrivals(), more=arrivals(), data=st.data())
def test_a_final_month_never_changes_again(
    catalogue: Catalogue, known: list[Arrival], more: list[Arrival], data: st.DataObject
) -> None:
    month_us = data.draw(st.sampled_from(MONTHS))
    final = final_us(month_us)
    issued = figures(known, catalogue, month_us, final)
    assert issued.final
    assert not figures(known, catalogue, month_us, final - 1).final
    later = [
        Arrival(row=one.row, arrived_us=max(one.arrived_us, final), version=one.version + 10)
        for one in more
    ]
    late_us = final + data.draw(st.integers(0, 300)) * DAY_US
    assert figures([*known, *later], catalogue, month_us, late_us) == issued


@given(known=arrivals())
def test_charges_and_corrections_add_up_to_rating_everything_at_once(
    catalogue: Catalogue, known: list[Arrival]
) -> None:
    # One more month behind the last takes what came after that had become final.
    months = [*MONTHS]
    while months[-1] < END_US:
        months.append(next_month_start(months[-1]))
    far_us = final_us(months[-1])
    billed: list[ChargeRow] = []
    for month_us in months:
        found = figures(known, catalogue, month_us, far_us)
        billed += [*found.charges, *(one.charge for one in found.corrections)]
        assert all(one.month_us < month_us for one in found.corrections)
    newest: dict[tuple[str, int], Arrival] = {}
    for one in known:
        key = (one.row.vpg_id, one.row.hour_start_us)
        newest[key] = max(one, newest.get(key, one), key=lambda own: own.version)
    at_once = rate_hours([one.row for one in newest.values()], catalogue, ChargePolicy())
    assert counted(billed) == counted(at_once)


@given(known=arrivals(), data=st.data())
def test_what_has_not_come_yet_is_not_known(
    catalogue: Catalogue, known: list[Arrival], data: st.DataObject
) -> None:
    month_us = data.draw(st.sampled_from(MONTHS))
    at_us = month_us + data.draw(st.integers(0, 90)) * DAY_US
    here = [one for one in known if one.arrived_us < at_us]
    assert figures(here, catalogue, month_us, at_us) == figures(known, catalogue, month_us, at_us)


def test_one_version_with_two_figures_is_refused_with_every_such_hour() -> None:
    rows = [hour_row(0), hour_row(0, size="large"), hour_row(1), hour_row(1, size="large")]
    same = [Arrival(row=row, arrived_us=0, version=2) for row in rows]
    with pytest.raises(InputError) as caught:
        check_arrivals(same)
    assert [problem.code for problem in caught.value.problems] == ["VPG1750", "VPG1750"]
    for lang in LANGS:
        assert "2026-04-01T09:00" in render(caught.value.problems[0], lang)
    check_arrivals([same[0], same[0], same[2]])


# ---- on an invoice -------------------------------------------------------------------------------

CALENDAR = BusinessCalendar()
APRIL_FINAL_US = invoice_dates("202604", CALENDAR).figures_final_us


def month(known: Sequence[Arrival], name: str, at_us: int = END_US) -> MonthFigures:
    return figures_of_month(
        known,
        month=name,
        at_us=at_us,
        catalogue=load_catalogue(),
        policy=ChargePolicy(),
        calendar=CALENDAR,
    )


def told(corrections: Iterable[Correction]) -> list[tuple[str, int, int | None]]:
    return [(c.charge.bill_item, c.charge.quantity, c.charge.amount_micro_yen) for c in corrections]


def arrive(row: HourlyRow, at_us: int, version: int = 0) -> Arrival:
    return Arrival(row=row, arrived_us=at_us, version=version)


def test_the_last_instant_before_final_rates_again_and_the_next_one_corrects() -> None:
    known = [arrive(hour_row(0), APRIL_2026_US + HOUR_US)]
    larger = hour_row(0, size="large")
    # 2026-05-07 is the second business day: 1, then the holidays of 3 to 6 May.
    assert utc_us(2026, 5, 7, 15) == APRIL_FINAL_US
    in_time = month([*known, arrive(larger, APRIL_FINAL_US - 1, 1)], "202604")
    assert [row.bill_item for row in in_time.charges] == ["vpg_c_large"]
    late = [*known, arrive(larger, APRIL_FINAL_US, 1)]
    assert [row.bill_item for row in month(late, "202604").charges] == ["vpg_c_small"]
    assert told(month(late, "202605").corrections) == [
        ("vpg_c_large", 1, 300_000_000),
        ("vpg_c_small", -1, -50_000_000),
    ]
    assert month(late, "202606").corrections == month(late, "202604").corrections == ()
    assert month(late, "202605", APRIL_FINAL_US).corrections == ()


def test_a_correction_comes_on_the_next_invoice_with_the_tax_of_its_own_month(
    tmp_path: Path,
) -> None:
    text = "replace = true\n" + "".join(
        f'[[tax]]\nitem = "consumption_tax"\neffective_from = {day}\nvalue = {value}\n'
        'unit = "percent"\n'
        for day, value in (("2026-01-01", 10), ("2026-05-01", 12))
    )
    catalogue = with_table(tmp_path, text)
    known = [
        arrive(hour_row(0), APRIL_2026_US),
        arrive(hour_row(0, size="medium"), APRIL_FINAL_US, 1),
        arrive(hour_row(1, type="E", size=""), APRIL_2026_US),
        arrive(hour_row(1), APRIL_FINAL_US, 1),
        arrive(hour_row(hour_start_us=MONTHS[1]), MONTHS[1]),
        arrive(hour_row(hour_start_us=MONTHS[1] + HOUR_US), MONTHS[1]),
    ]
    policy = InvoicePolicy()
    may = month(known, "202605")
    lines = correction_lines(may.corrections, operator_id="OP1", catalogue=catalogue, policy=policy)
    assert [(line.kind, line.month, line.item, line.quantity, line.tax_ppm) for line in lines] == [
        ("correction", "202604", "vpg_c_medium", 1, 100_000)
    ]
    operator = Operator(operator_id="OP1")
    own = OperatorMonth(operator=operator, charges=may.charges, corrections=may.corrections)
    one = MonthInputs(
        month="202605", payer=operator, method="invoice_email", operators=(own,), policy=policy
    )
    document = invoice(one, catalogue)
    # April: 100 - 50 + 50 = 100 yen at 10 %; May: two hours of 50 yen at 12 %: 110 + 112 yen.
    assert document.payable_yen == 222
    early = replace(one, month="202604", operators=(replace(own, charges=()),))
    with pytest.raises(InputError, match="VPG1711"):
        invoice(early, catalogue)
