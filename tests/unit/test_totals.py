"""How hourly rows add up, and that a broken identity is found whichever cell is wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_rating import APRIL_2026_US, hour_row
from vpg.rating.histogram import bucket_of, percentile_us, upper_us
from vpg.rating.hourly import COLUMNS, SERVICES, HourlyRow, key_of
from vpg.rating.totals import Totals, conservation, limited, totals
from vpg.timebase import HOUR_US

ROWS = [
    hour_row(0, vpg_id="a", sessions_created=5, sessions_end=5, attach_attempts=5, lines_peak=5),
    hour_row(1, vpg_id="a", sessions_start=5, sessions_deleted=2, sessions_end=3, lines_peak=5),
    hour_row(0, vpg_id="b", sessions_created=9, sessions_end=9, attach_attempts=9, lines_peak=9),
]


def test_flows_are_summed_peaks_are_the_largest_ends_are_the_last() -> None:
    whole = totals(ROWS, {})
    assert (whole.sessions_created, whole.sessions_deleted, whole.sessions_end) == (14, 2, 12)
    assert (whole.sessions_start, whole.lines_peak, whole.hours) == (0, 9, 3)
    a, b = whole.per_vpg
    assert (a.vpg_id, a.sessions_start, a.sessions_end, a.hours) == ("a", 0, 3, 2)
    assert (b.vpg_id, b.sessions_end, b.lines_peak, b.type, b.size) == ("b", 9, 9, "C", "small")
    assert conservation([whole]) == conservation(whole.per_vpg) == []


def test_two_rows_of_one_hour_are_one_vpg_hour() -> None:
    rows = [hour_row(), hour_row(config_seq=1, size="large", one_off="contract_fee_c")]
    whole = totals(rows, {})
    assert whole.hours == 1
    assert whole.one_off == "contract_fee_c"
    assert whole.per_vpg[0].size == "large"


def test_hours_without_the_vpg_do_not_count() -> None:
    assert totals([hour_row(), hour_row(1, vpg_exists=0)], {}).hours == 1


def test_percentiles_come_from_the_merged_histograms_not_from_the_rows() -> None:
    rows = [hour_row(0, delay_us_p99=1), hour_row(1), hour_row(0, vpg_id="z")]
    slow, slower = bucket_of(1_000), bucket_of(100_000)
    delays = {key_of(rows[0]): {5: 98}, key_of(rows[1]): {slow: 1}, key_of(rows[2]): {slower: 101}}
    whole = totals(rows, delays)
    assert whole.per_vpg[0].delay_us_p50 == 5
    assert whole.per_vpg[0].delay_us_p99 == upper_us(slow)
    assert (whole.delay_us_p50, whole.delay_us_max) == (upper_us(slower), upper_us(slower))


def test_limited_counts_leave_plain_ip_out() -> None:
    row = hour_row(
        attempts_beam=10,
        accepted_beam=1,
        throttled_beam=2,
        no_session_beam=3,
        failed_upstream_beam=4,
        attempts_funk=5,
        accepted_funk=5,
        attempts_ip=100,
        accepted_ip=100,
        lost_tries=1,
        lost_buffer=2,
        lost_deadline=3,
        lost_cancelled=4,
    )
    whole = totals([row], {})
    assert (whole.attempts_limited, whole.accepted_limited, whole.throttled_limited) == (15, 6, 2)
    assert (whole.admitted_limited, whole.no_session_limited) == (10, 3)
    assert (whole.failed_upstream_limited, whole.messages_lost) == (4, 10)
    assert limited(row, "attempts") == 15


def test_no_rows_total_to_nothing() -> None:
    assert totals([], {}) == Totals()


CONSERVED = hour_row(
    sessions_start=1,
    sessions_created=2,
    sessions_deleted=3,
    attach_attempts=9,
    sessions_refused=3,
    attach_rejected_other=4,
    pending_start=5,
    messages_offered=20,
    messages_delivered=10,
    lost_tries=1,
    lost_deadline=2,
    lost_buffer=3,
    lost_cancelled=4,
    pending_end=5,
    **{
        f"{what}_{service}": n + k
        for n, service in enumerate(SERVICES)
        for k, what in enumerate(("accepted", "throttled", "no_session", "failed_upstream"))
    },
    **{f"attempts_{service}": 4 * n + 6 for n, service in enumerate(SERVICES)},
)
CHECKED = [
    *("sessions_start", "sessions_created", "sessions_deleted", "sessions_end"),
    *("attach_attempts", "sessions_refused", "attach_rejected_other"),
    *("pending_start", "pending_end", "messages_offered", "messages_delivered"),
    *("lost_tries", "lost_deadline", "lost_buffer", "lost_cancelled"),
    *(
        f"{what}_{service}"
        for service in SERVICES
        for what in ("attempts", "accepted", "throttled", "no_session", "failed_upstream")
    ),
]


def test_a_row_that_conserves_is_silent() -> None:
    assert conservation([CONSERVED]) == []


@pytest.mark.parametrize("name", CHECKED)
def test_any_one_wrong_cell_is_found(name: str) -> None:
    wrong = dataclasses.replace(CONSERVED, **{name: getattr(CONSERVED, name) + 1})
    assert conservation([wrong])


@pytest.mark.parametrize("name", [c.name for c in COLUMNS if c.aggregate in ("sum", "max")])
def test_no_counter_may_be_negative(name: str) -> None:
    assert any("negative" in fact for fact in conservation([hour_row(**{name: -1})]))


def test_each_row_begins_where_the_row_before_ended() -> None:
    broken = [
        hour_row(0, sessions_created=1, attach_attempts=1, sessions_end=1),
        hour_row(1, messages_offered=1, pending_end=1),
        hour_row(2),
    ]
    facts = conservation(broken)
    assert len(facts) == 2
    assert "sessions_start 0 is not the row before's sessions_end 1" in facts[0]
    assert "pending_start 0 is not the row before's pending_end 1" in facts[1]
    assert conservation([broken[0], dataclasses.replace(broken[2], vpg_id="other")]) == []


def test_a_key_that_comes_twice_is_found() -> None:
    assert conservation([hour_row(), hour_row()]) == [
        f"('vpg-1', {APRIL_2026_US}, 0): a second row with this key"
    ]


def _chain(steps: list[dict[str, int]], vpg_id: str) -> list[HourlyRow]:
    rows, sessions, pending = [], 0, 0
    for k, step in enumerate(steps):
        deleted = min(step["deleted"], sessions + step["created"])
        delivered = min(step["delivered"], pending + step["offered"])
        cells: dict[str, Any] = {
            "sessions_start": sessions,
            "sessions_created": step["created"],
            "sessions_deleted": deleted,
            "attach_attempts": step["created"],
            "pending_start": pending,
            "messages_offered": step["offered"],
            "messages_delivered": delivered,
            "attempts_beam": delivered,
            "accepted_beam": delivered,
        }
        sessions += step["created"] - deleted
        pending += step["offered"] - delivered
        cells |= {"sessions_end": sessions, "pending_end": pending}
        rows.append(hour_row(vpg_id=vpg_id, hour_start_us=APRIL_2026_US + k * HOUR_US, **cells))
    return rows


STEPS = st.lists(
    st.fixed_dictionaries(
        {k: st.integers(0, 50) for k in ("created", "deleted", "offered", "delivered")}
    ),
    max_size=6,
)


@given(a=STEPS, b=STEPS)
def test_what_holds_for_rows_holds_for_their_totals(
    a: list[dict[str, int]], b: list[dict[str, int]]
) -> None:
    rows = _chain(a, "a") + _chain(b, "b")
    assert conservation(rows) == []
    whole = totals(rows[::-1], {})
    assert conservation([whole]) == conservation(whole.per_vpg) == []
    assert whole.messages_offered == sum(step["offered"] for step in a + b)


@given(
    histograms=st.lists(st.dictionaries(st.integers(0, 3000), st.integers(1, 9)), max_size=4),
    percent=st.integers(1, 100),
)
def test_merging_before_or_after_is_the_same(
    histograms: list[dict[int, int]], percent: int
) -> None:
    rows = [hour_row(k) for k in range(len(histograms))]
    delays = {key_of(row): own for row, own in zip(rows, histograms, strict=True)}
    every = sorted(b for own in histograms for b, n in own.items() for _ in range(n))
    whole = totals(rows, delays)
    merged = {b: every.count(b) for b in every}
    expected = upper_us(every[-(-len(every) * percent // 100) - 1]) if every else 0
    assert percentile_us(merged, percent) == expected
    assert (whole.delay_us_p50, whole.delay_us_p99, whole.delay_us_max) == tuple(
        percentile_us(merged, p) for p in (50, 99, 100)
    )
