"""Clock hours, business days and the dates of an invoice, against calendars that people print."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from tests.support_billing import CATALOGUE, POLICY
from vpg.billing.calendar import (
    BusinessCalendar,
    business_day,
    hours_by_month,
    hours_touched,
    invoice_dates,
    is_business_day,
    month_begin,
    month_bounds_us,
    month_last_day,
    months_later,
    period_last_day,
)
from vpg.billing.closures import load_calendar, read_calendar
from vpg.billing.lines import account_of
from vpg.errors import EnsureError, InputError
from vpg.text import LANGS, render
from vpg.timebase import HOUR_US, JST, from_datetime, month_name

if TYPE_CHECKING:
    from pathlib import Path

USUAL = BusinessCalendar()
H = HOUR_US


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def codes(error: pytest.ExceptionInfo[InputError]) -> list[str]:
    for problem in error.value.problems:
        for lang in LANGS:
            render(problem, lang)
    return [problem.code for problem in error.value.problems]


def test_every_hour_boundary_of_2019_to_2035_parts_two_hours_at_the_microsecond() -> None:
    # The JST wall clock says where hours begin: every :00, no summer time in these years.
    at: int = from_datetime(dt.datetime(2019, 1, 1, tzinfo=JST))
    end = from_datetime(dt.datetime(2036, 1, 1, tzinfo=JST))
    boundaries = 0
    while at < end:
        assert hours_touched([(at - 1, at)]) == [at - H]
        assert hours_touched([(at, at + 1)]) == [at]
        assert hours_touched([(at - 1, at + 1)]) == [at - H, at]
        at += H
        boundaries += 1
    assert boundaries == (17 * 365 + 4) * 24


def test_every_month_of_2019_to_2035_turns_at_nine_o_clock_jst() -> None:
    month = "201901"
    while month < "203601":
        first = month_begin(month)
        turn: int = from_datetime(dt.datetime(first.year, first.month, 1, 9, tzinfo=JST))
        before = months_later(month, -1)
        assert month_bounds_us(month)[0] == turn == month_bounds_us(before)[1]
        assert [month_name(turn + off) for off in (-1, 0, 1)] == [before, month, month]
        assert hours_by_month([(turn - 1, turn + 1)]) == {before: 1, month: 1}
        month = months_later(month, 1)


def test_the_tax_of_a_month_is_that_of_its_first_instant() -> None:
    # 10 % began on 2019-10-01 00:00 JST, nine hours before the rating month did.
    rates = {
        month: account_of(CATALOGUE, POLICY, operator_id="OP", month=month).tax_ppm
        for month in ("201908", "201909", "201910", "202604")
    }
    assert rates == {"201908": 80_000, "201909": 80_000, "201910": 100_000, "202604": 100_000}


@pytest.mark.parametrize(
    ("intervals", "hours"),
    [
        ([], []),
        ([(5, 5)], []),
        ([(0, H)], [0]),
        ([(0, H + 1)], [0, H]),
        ([(1, 2), (3, 4), (H - 1, H)], [0]),
        ([(3 * H, 4 * H), (0, 1)], [0, 3 * H]),
        ([(0, 3 * H), (1, 2 * H), (H, 2 * H + 1)], [0, H, 2 * H]),
        ([(10 * H + 59 * 60_000_000, 11 * H + 60_000_000)], [10 * H, 11 * H]),
    ],
)
def test_an_hour_counts_once_however_often_it_is_touched(
    intervals: list[tuple[int, int]], hours: list[int]
) -> None:
    assert hours_touched(intervals) == hours


def test_an_interval_that_ends_before_it_begins_is_a_bug() -> None:
    with pytest.raises(EnsureError):
        hours_touched([(2, 1)])


@pytest.mark.parametrize(
    ("text", "open_"),
    [
        ("2019-05-01", False),  # accession of the Emperor, this year only
        ("2019-04-30", False),  # between two holidays
        ("2019-05-06", False),  # substitute holiday
        ("2019-05-07", True),
        ("2020-07-24", False),  # moved for the games
        ("2021-10-11", True),  # moved away for the games
        ("2026-09-22", False),  # between two holidays
        ("2025-12-29", False),
        ("2025-12-26", True),
        ("2026-01-05", True),
        ("2026-04-04", False),
        ("2026-04-05", False),
        ("2026-04-06", True),
    ],
)
def test_weekends_holidays_and_the_year_end_are_no_business_days(text: str, open_: bool) -> None:
    assert is_business_day(day(text), USUAL) is open_


@pytest.mark.parametrize(
    ("month", "final", "issue", "due"),
    [
        ("201904", "2019-05-08", "2019-05-10", "2019-05-31"),
        ("202012", "2021-01-05", "2021-01-07", "2021-01-31"),
        ("202006", "2020-07-02", "2020-07-06", "2020-07-31"),
        ("202512", "2026-01-06", "2026-01-08", "2026-01-31"),
        ("202601", "2026-02-03", "2026-02-05", "2026-02-28"),
        ("202401", "2024-02-02", "2024-02-06", "2024-02-29"),
    ],
)
def test_the_dates_of_an_invoice(month: str, final: str, issue: str, due: str) -> None:
    dates = invoice_dates(month, USUAL)
    assert (dates.figures_final_on, dates.issue_on, dates.due_on) == (
        day(final),
        day(issue),
        day(due),
    )
    midnight = dt.datetime.combine(day(final) + dt.timedelta(days=1), dt.time(), tzinfo=JST)
    assert dates.figures_final_us == from_datetime(midnight)
    assert dates.card_on == month_begin(months_later(month, 1))
    assert (dates.month_start_us, dates.month_end_us) == month_bounds_us(month)


def test_the_dates_of_every_month_of_2019_to_2035_are_in_order() -> None:
    month = "201901"
    while month < "203601":
        dates = invoice_dates(month, USUAL)
        first = month_begin(months_later(month, 1))
        days = [first + dt.timedelta(days=n) for n in range((dates.issue_on - first).days + 1)]
        business = [one for one in days if is_business_day(one, USUAL)]
        assert business[1::2] == [dates.figures_final_on, dates.issue_on]
        assert len(business) == 4
        assert dates.due_on == month_last_day(months_later(month, 1)) > dates.issue_on
        month = months_later(month, 1)


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        ("calendar_day", "2026-05-31"),  # a Sunday
        ("business_day_before", "2026-05-29"),
        ("business_day_after", "2026-06-01"),
    ],
)
def test_a_due_date_on_a_closed_day(due: str, expected: str) -> None:
    calendar = read_calendar(f'due = "{due}"', "mine.toml")
    assert invoice_dates("202604", calendar).due_on == day(expected)


def test_no_business_day_in_a_year_is_told() -> None:
    closed = frozenset((m, d) for m in range(1, 13) for d in range(1, 32))
    with pytest.raises(InputError) as error:
        business_day(day("2026-01-01"), 1, BusinessCalendar(closed_yearly=closed))
    assert codes(error) == ["VPG1702"]


@pytest.mark.parametrize(
    "text", ["", "2026-4", "202613", "202600", "000001", "２０２６０４", "20260a", "999901"]
)
def test_what_is_no_month_is_told(text: str) -> None:
    with pytest.raises(InputError) as error:
        month_begin(text)
    assert codes(error) == ["VPG1701"]


def test_the_first_and_the_last_month_there_are() -> None:
    assert [month_begin(month) for month in ("000101", "999812")] == [
        day("0001-01-01"),
        day("9998-12-01"),
    ]


@pytest.mark.parametrize(
    ("known", "last"),
    [
        ("2026-01-15", "2026-04-15"),
        ("2025-11-28", "2026-02-28"),
        ("2025-11-29", "2026-02-28"),
        ("2025-11-30", "2026-02-28"),  # begins with December, so ends with February
        ("2023-11-30", "2024-02-29"),
        ("2026-02-28", "2026-05-31"),  # begins with March, so ends with May
        ("2026-10-31", "2027-01-31"),
        ("2026-12-31", "2027-03-31"),
    ],
)
def test_three_months_end_as_the_civil_code_says(known: str, last: str) -> None:
    assert period_last_day(day(known), 3) == day(last)


def test_a_table_of_closing_days_is_read() -> None:
    calendar = read_calendar(
        'closed_yearly = ["02-29"]\nclosed = [2026-08-14]\nopen = [2026-01-01]\n'
        "final_business_day = 1\nissue_business_day = 3\n",
        "mine.toml",
    )
    assert not is_business_day(day("2024-02-29"), calendar)
    assert not is_business_day(day("2026-08-14"), calendar)
    assert is_business_day(day("2026-01-01"), calendar)
    assert is_business_day(day("2026-12-29"), calendar)
    assert invoice_dates("202512", calendar).figures_final_on == day("2026-01-01")
    assert read_calendar("", "mine.toml") == USUAL


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("due = 1", "VPG1714", 1),
        ('due = "later"', "VPG1714", 1),
        ('\nclosed_yearly = "12-29"', "VPG1714", 2),
        ("closed_yearly = [1229]", "VPG1714", 1),
        ('closed_yearly = ["12/29"]', "VPG1714", 1),
        ('closed_yearly = ["02-30"]', "VPG1714", 1),
        ("closed = 2026-08-14", "VPG1714", 1),
        ("closed = [2026-08-14T00:00:00]", "VPG1714", 1),
        ('open = ["2026-08-14"]', "VPG1714", 1),
        ("issue_business_day = 0", "VPG1714", 1),
        ("issue_business_day = true", "VPG1714", 1),
        ("final_business_day = 21", "VPG1714", 1),
        ('final_business_day = "2"', "VPG1714", 1),
        ("\nclose = []", "VPG1713", 2),
        ("open = [", "VPG1712", 1),
    ],
)
def test_a_wrong_table_of_closing_days_is_told(text: str, code: str, line: int) -> None:
    with pytest.raises(InputError) as error:
        read_calendar(text, "mine.toml")
    assert codes(error) == [code]
    assert [(p.place.file, p.place.line) for p in error.value.problems if p.place] == [
        ("mine.toml", line)
    ]


def test_every_problem_of_a_table_is_told_at_once() -> None:
    with pytest.raises(InputError) as error:
        read_calendar("close = 1\ndue = 2\n", "mine.toml")
    assert codes(error) == ["VPG1713", "VPG1714"]


def test_a_table_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "closing.toml"
    file.write_text("\ufeffissue_business_day = 5\n", encoding="utf-8")
    assert load_calendar(file).issue_business_day == 5
    file.write_bytes(b"\xff\xfe")
    for path in (file, file.with_name("none.toml")):
        with pytest.raises(InputError) as error:
            load_calendar(path)
        assert codes(error) == ["VPG1712"]
