"""Lines: what they may become, when the portal's changes take effect, which months they owe."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios import model
from tests.support_rating import utc_us
from vpg.billing import lifecycle
from vpg.billing.lifecycle import LineMonth, Since, change, line_months, transfer
from vpg.errors import EnsureError, InputError
from vpg.text import LANGS, render
from vpg.timebase import DAY_US, HOUR_US, JST, from_datetime, month_start, to_jst

if TYPE_CHECKING:
    from collections.abc import Callable

APRIL = utc_us(2026, 4, 1)
MAY, JUNE, JULY = (utc_us(2026, month, 1) for month in (5, 6, 7))


def jst(*parts: int) -> int:
    return from_datetime(dt.datetime(*parts, tzinfo=JST))  # type: ignore[arg-type, misc]


def clock(at_us: int) -> str:
    return to_jst(at_us).strftime("%m-%d %H:%M:%S")


def refused(code: str, what: Callable[[], object]) -> None:
    """Check that ``what`` is refused with a text in both languages."""
    with pytest.raises(InputError) as caught:
        what()
    [problem] = caught.value.problems
    assert problem.code == code
    for lang in LANGS:
        assert code in render(problem, lang)


# ---- statuses ------------------------------------------------------------------------------------


def test_the_statuses_are_those_of_scenarios() -> None:
    assert get_args(lifecycle.LineStatus) == lifecycle.STATUSES
    assert set(lifecycle.STATUSES) == set(get_args(model.LineStatus))


ALLOWED = {
    "ready": {"active", "inactive", "standby", "suspended", "terminated"},
    "active": {"inactive", "standby", "suspended", "terminated"},
    "inactive": {"active", "standby", "suspended", "terminated"},
    "standby": {"active", "inactive", "suspended", "terminated"},
    "suspended": {"active", "inactive", "standby", "terminated"},
    "terminated": set(),
}


@pytest.mark.parametrize("before", lifecycle.STATUSES)
@pytest.mark.parametrize("after", lifecycle.STATUSES)
def test_only_allowed_changes_change_a_line(
    before: lifecycle.LineStatus, after: lifecycle.LineStatus
) -> None:
    history = (Since(APRIL, before),)
    if before == after:
        assert change(history, MAY, after) == history
    elif after in ALLOWED[before]:
        assert change(history, MAY, after) == (*history, Since(MAY, after))
    else:
        refused("VPG1751", lambda: change(history, MAY, after))


def test_changes_come_in_order() -> None:
    with pytest.raises(EnsureError):
        change((Since(MAY, "active"),), APRIL, "suspended")
    with pytest.raises(EnsureError):
        change((), APRIL, "active")


def test_only_a_line_that_is_still_ready_can_be_transferred() -> None:
    history = change((Since(APRIL, "ready"),), MAY, "active")
    transfer(history, MAY - 1)
    refused("VPG1752", lambda: transfer(history, MAY))
    refused("VPG1752", lambda: transfer(history, APRIL - 1))
    for status in lifecycle.STATUSES[1:]:
        refused("VPG1752", lambda status=status: transfer((Since(APRIL, status),), MAY))  # type: ignore[misc]


# ---- the portal ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("applied", "carrier", "taken", "begin", "end"),
    [
        ((2026, 4, 1, 9), "docomo", "04-01 09:00:00", "04-01 09:00:00", "04-01 10:00:00"),
        ((2026, 4, 1, 9), "softbank", "04-01 09:00:00", "04-01 10:00:00", "04-01 11:00:00"),
        (
            (2026, 4, 1, 10, 0, 1),
            "softbank",
            "04-01 10:00:01",
            "04-01 10:00:01",
            "04-01 11:00:01",
        ),
        (
            (2026, 4, 1, 19, 59, 59),
            "docomo",
            "04-01 19:59:59",
            "04-01 19:59:59",
            "04-01 20:59:59",
        ),
        ((2026, 4, 30, 20), "docomo", "05-01 09:00:00", "05-01 09:00:00", "05-01 10:00:00"),
        ((2026, 4, 1, 8, 59, 59), "docomo", "04-01 09:00:00", "04-01 09:00:00", "04-01 10:00:00"),
        ((2026, 4, 1, 0), "softbank", "04-01 09:00:00", "04-01 10:00:00", "04-01 11:00:00"),
    ],
)
def test_suspension_is_taken_in_portal_hours_and_done_within_the_hour(
    applied: tuple[int, ...], carrier: lifecycle.Carrier, taken: str, begin: str, end: str
) -> None:
    work = lifecycle.suspend_or_resume(jst(*applied), carrier)
    assert tuple(map(clock, work)) == (taken, begin, end)


@given(at_us=st.integers(APRIL, JULY), carrier=st.sampled_from(list(lifecycle.CARRIER_OPENS_HOUR)))
def test_whatever_the_hour_nothing_is_taken_while_the_portal_is_shut(
    at_us: int, carrier: lifecycle.Carrier
) -> None:
    work = lifecycle.suspend_or_resume(at_us, carrier)
    assert at_us <= work.accepted_us <= work.from_us < work.by_us == work.from_us + HOUR_US
    assert 9 <= to_jst(work.accepted_us).hour < 20
    assert to_jst(work.from_us).hour >= (9 if carrier == "docomo" else 10)
    assert work.accepted_us - at_us <= 13 * HOUR_US
    if 9 <= to_jst(at_us).hour < 20:
        assert work.accepted_us == at_us


@pytest.mark.parametrize(
    ("larger", "rule", "at"),
    [
        (True, "larger_at_once", "04-15 12:00:00"),
        (False, "larger_at_once", "05-01 00:00:00"),
        (True, "next_month", "05-01 00:00:00"),
        (False, "next_month", "05-01 00:00:00"),
    ],
)
def test_a_plan_changes_at_once_or_on_the_first(
    larger: bool, rule: lifecycle.PlanRule, at: str
) -> None:
    applied_us = jst(2026, 4, 15, 12)
    assert clock(lifecycle.plan_change_us(applied_us, larger=larger, rule=rule)) == at


def test_the_first_is_that_of_the_month_in_japan() -> None:
    last = lifecycle.plan_change_us(jst(2026, 5, 1) - 1, larger=False, rule="next_month")
    first = lifecycle.plan_change_us(jst(2026, 5, 1), larger=False, rule="next_month")
    assert (clock(last), clock(first)) == ("05-01 00:00:00", "06-01 00:00:00")
    december = lifecycle.plan_change_us(jst(2026, 12, 31, 23), larger=False, rule="next_month")
    assert december == jst(2027, 1, 1)


@pytest.mark.parametrize(
    ("applied", "day", "ends"),
    [
        ((2026, 4, 15), None, (2026, 5, 1)),
        ((2028, 2, 3), None, (2028, 3, 1)),
        ((2026, 4, 15, 23), dt.date(2026, 4, 15), (2026, 4, 16)),
        ((2026, 4, 15), dt.date(2028, 4, 15), (2028, 4, 16)),
        ((2028, 2, 29), dt.date(2030, 2, 28), (2030, 3, 1)),
    ],
)
def test_a_line_ends_with_the_chosen_day(
    applied: tuple[int, ...], day: dt.date | None, ends: tuple[int, ...]
) -> None:
    assert lifecycle.cancellation_us(jst(*applied), day) == jst(*ends)


@pytest.mark.parametrize("day", [dt.date(2026, 4, 14), dt.date(2028, 4, 16)])
def test_a_line_ends_neither_yesterday_nor_after_two_years(day: dt.date) -> None:
    refused("VPG1753", lambda: lifecycle.cancellation_us(jst(2026, 4, 15), day))


def test_a_change_can_be_withdrawn_until_it_takes_effect() -> None:
    effective_us = lifecycle.plan_change_us(jst(2026, 4, 15), larger=False, rule="next_month")
    lifecycle.withdraw(effective_us - 1, effective_us)
    refused("VPG1754", lambda: lifecycle.withdraw(effective_us, effective_us))


# ---- fees ----------------------------------------------------------------------------------------


def test_a_suspended_line_pays_on_until_it_ends() -> None:
    history = (
        Since(APRIL + DAY_US, "active"),
        Since(APRIL + 2 * DAY_US, "suspended"),
        Since(JUNE, "terminated"),
    )
    owed = (LineMonth(APRIL, "line_basic"), LineMonth(MAY, "line_basic"))
    assert line_months(history, JULY) == owed
    assert line_months(history, MAY) == owed[:1]
    assert line_months((*history[:2], Since(JUNE + 1, "terminated")), JULY)[2:] == (
        LineMonth(JUNE, "line_basic"),
    )


def test_a_month_owes_the_most_the_line_was_in_it() -> None:
    history = (
        Since(APRIL, "ready"),
        Since(MAY - 1, "standby"),
        Since(JUNE + 5, "inactive"),
        Since(JUNE + 6, "standby"),
    )
    assert [month.bill_item for month in line_months(history, JULY + 1)] == [
        "line_standby",
        "line_standby",
        "line_basic",
        "line_standby",
    ]
    assert line_months((Since(APRIL, "ready"),), MAY) == (LineMonth(APRIL, "line_ready"),)
    assert line_months((Since(APRIL, "terminated"),), JULY) == ()


DAYS = st.lists(
    st.tuples(st.integers(0, 100), st.sampled_from(lifecycle.STATUSES)), min_size=1, max_size=6
)


@given(days=DAYS, until=st.integers(0, 120))
def test_fees_are_what_looking_at_every_day_says(
    days: list[tuple[int, lifecycle.LineStatus]], until: int
) -> None:
    history = [Since(APRIL + day * DAY_US, status) for day, status in sorted(days)]
    ranks = {"terminated": 0, "ready": 1, "standby": 2}
    most: dict[int, int] = {}
    for day in range(until):
        status = lifecycle.status_at(history, APRIL + day * DAY_US)
        month = month_start(APRIL + day * DAY_US)
        most[month] = max(most.get(month, 0), ranks.get(status or "terminated", 3))
    names = ("", "line_ready", "line_standby", "line_basic")
    expected = {month: names[rank] for month, rank in most.items() if rank}
    assert dict(line_months(history, APRIL + until * DAY_US)) == expected
