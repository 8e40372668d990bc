"""Cases of the simulator that can be worked out by hand: sessions, ghosts, attaches."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios import model
from scenarios.model import Session
from tests.support_sim import (
    ON_REPORT,
    at,
    by_hour,
    delays_of,
    every,
    expected_delays,
    fixed,
    fleet,
    flows,
    run,
    scenario,
    sec,
    small_limits,
    sums,
    trace,
)

# ---- sessions ------------------------------------------------------------------------------------


def test_an_idle_session_ends_and_the_next_report_attaches() -> None:
    what = scenario(
        fleet("f", trace((0, 0), (50, 0), (200, 0)), session=ON_REPORT), a16_idle_timeout_us=sec(60)
    )
    seen = flows(what)
    assert (seen["sessions_created"], seen["sessions_deleted"]) == (2, 2)
    assert seen["accepted_beam"] == 3
    assert seen["no_session_beam"] == 0


def test_a_message_at_the_very_timeout_finds_its_session_gone() -> None:
    # Timers of a line come before its messages: it attaches anew.
    for second, sessions in ((60, 2), (59.999999, 1)):
        what = scenario(
            fleet("f", trace((0, 0), (second, 0)), session=ON_REPORT),
            a16_idle_timeout_us=sec(60),
        )
        assert flows(what)["sessions_created"] == sessions


def test_ghosts_hold_their_slots_until_the_idle_timeout() -> None:
    # given: a cap of 5; five lines send at 10 s and lose power at 100 s for good
    five = fleet("a", trace(*((10, line) for line in range(5))), lines=5)
    cut = model.PowerCut(at_us=at(100), until_us=at(9000), fleets=("a",))
    # when: another fleet tries every ten minutes with a policy that never gives up
    other = fleet("b", trace((200, 0)), session=ON_REPORT, attach_retry=fixed(600))
    result = run(scenario(five, other, events=(cut,), hours=2), small_limits(5, 30))
    seen = sums(result)
    # then: 200, 800 ... 3200 s are refused; the ghosts leave at 3610 s; at 3800 s it gets in
    assert seen["sessions_refused"] == 6
    assert by_hour(result, "ghosts_peak") == [5, 5]
    assert by_hour(result, "sessions_end") == [5, 1]
    assert by_hour(result, "sessions_deleted") == [0, 5]
    assert seen["messages_delivered"] == 6


@pytest.mark.parametrize(("reading", "sessions"), [("replaced", 1), ("not_replaced", 2)])
def test_a_reconnect_replaces_its_ghost_or_not(reading: Any, sessions: int) -> None:
    cut = model.PowerCut(at_us=at(100), until_us=at(200), fleets=("f",))
    result = run(scenario(fleet("f"), events=(cut,), a17_ghosts=reading), small_limits(9, 30))
    (row,) = result.rows
    assert (row.sessions_created, row.sessions_deleted) == (2, 2 - sessions)
    assert (row.sessions_end, row.lines_peak, row.ghosts_peak) == (sessions, sessions, 1)


def test_a_reconnect_of_a_ghost_needs_no_free_slot() -> None:
    cut = model.PowerCut(at_us=at(100), until_us=at(200), fleets=("f",))
    seen = flows(scenario(fleet("f", lines=3), events=(cut,)), lines=3)
    assert (seen["sessions_created"], seen["sessions_refused"]) == (6, 0)


@pytest.mark.parametrize(
    ("policy", "refused", "flagged", "created", "deleted"),
    [("refuse", 2, 0, 3, 0), ("accept_and_flag", 0, 2, 5, 0), ("evict_longest_idle", 0, 0, 5, 2)],
)
def test_above_the_line_cap(
    policy: Any, refused: int, flagged: int, created: int, deleted: int
) -> None:
    seen = flows(scenario(fleet("f", lines=5), a02_above_line_cap=policy), lines=3)
    assert seen["sessions_refused"] == refused
    assert seen["sessions_flagged"] == flagged
    assert (seen["sessions_created"], seen["sessions_deleted"]) == (created, deleted)
    assert seen["lines_peak"] == (5 if policy == "accept_and_flag" else 3)


def test_the_longest_idle_is_the_one_that_goes() -> None:
    # given: lines 0 and 1 of a cap of 2; line 0 sent last; line 2 attaches
    fleet_of_three = fleet("f", trace((1, 0), (2, 1), (3, 0), (4, 2), (5, 0)), lines=3,
                           session=ON_REPORT)  # fmt: skip
    seen = flows(scenario(fleet_of_three, a02_above_line_cap="evict_longest_idle"), lines=2)
    # then: line 1 went, so line 0 still has its session at 5 s
    assert (seen["accepted_beam"], seen["no_session_beam"]) == (5, 0)


def test_refused_lines_retry_their_attach_by_policy_and_then_send_in_vain() -> None:
    policy = fixed(10, 2)
    second = fleet("b", trace((100, 0), (200, 0)), session=ON_REPORT, attach_retry=policy)
    result = run(scenario(fleet("a"), second), small_limits(1, 30))
    seen = sums(result)
    # each report begins anew: 100, 110, 120 and 200, 210, 220; then one try without a session
    assert (seen["sessions_refused"], seen["no_session_beam"]) == (6, 2)
    assert seen["lost_tries"] == 2


def test_assigned_lines_count_whether_online_or_not() -> None:
    what = scenario(
        fleet("f", trace((1, 1), (2, 2)), lines=3, session=ON_REPORT), a01_line_cap="assigned_sims"
    )
    seen = flows(what, lines=2)
    assert (seen["sessions_created"], seen["sessions_refused"]) == (1, 1)


def test_a_vpg_sets_up_so_many_sessions_a_second() -> None:
    what = scenario(fleet("f", lines=6, attach_retry=fixed(1)), a18_session_setup_per_s=2)
    seen = flows(what)
    assert (seen["sessions_created"], seen["attach_rejected_other"]) == (6, 4 + 2)
    assert seen["attach_peak_per_s"] == 6


@pytest.mark.parametrize(
    ("notice_s", "no_session", "delivered"), [(None, 1, 2), (20, 1, 2), (9, 0, 3), (0, 0, 3)]
)
def test_a_device_notices_its_cut_session_late(
    notice_s: float | None, no_session: int, delivered: int
) -> None:
    # given: messages at 0, 110 and 130 s, a forced cut at 100 s, no retry
    session = Session(attach="on_report", notice_us=None if notice_s is None else sec(notice_s))
    cut = model.ForcedCut(at_us=at(100), fleets=("f",))
    what = scenario(fleet("f", trace((0, 0), (110, 0), (130, 0)), session=session), events=(cut,))
    seen = flows(what)
    # then: the message at 110 s fails unless the device has noticed; its failure is the notice
    assert (seen["no_session_beam"], seen["messages_delivered"]) == (no_session, delivered)
    assert (seen["sessions_created"], seen["sessions_deleted"]) == (2, 1)
    # and nothing was asked of the limiter without a session
    assert seen["attempts_beam"] == 3


@pytest.mark.parametrize(
    ("assumption", "created"),
    [({"a28_cut_after_us": sec(60)}, 3), ({"a28_cut_after_bytes": 29}, 3)],
)
def test_the_platform_cuts_long_or_heavy_sessions(assumption: Any, created: int) -> None:
    # given: 15 bytes each 30 s: a session is too old, or too heavy, after the second message
    messages = trace((0, 0), (30, 0), (60, 0), (90, 0), (120, 0), (150, 0))
    what = scenario(fleet("f", messages, session=ON_REPORT), **assumption)
    seen = flows(what)
    assert seen["sessions_created"] == created
    assert seen["no_session_beam"] == seen["lost_tries"] == 2


def test_inactive_lines_keep_trying_and_suspended_ones_try_once() -> None:
    # given: attached lines whose status changes at 100 s
    tries = {}
    for status in ("inactive", "suspended", "terminated"):
        change = model.LineChange(at_us=at(100), fleet="f", first_line=0, lines=2, status=status)
        what = scenario(fleet("f", every(600), lines=3, attach_retry=fixed(100)), events=(change,))
        seen = flows(what)
        assert seen["sessions_deleted"] == 2
        tries[status] = seen["attach_rejected_other"]
        # a line out of use creates nothing any more; an inactive device does not know
        assert seen["messages_offered"] == (18 if status == "inactive" else 7)
    # 100, 200 ... 3500 s for each of two lines
    assert tries["inactive"] == 2 * 35
    assert tries["suspended"] == 2


def test_an_outage_makes_messages_wait_and_a_release_is_one_attach() -> None:
    outage = model.CarrierOutage(at_us=at(100), until_us=at(200), fleets=("f",))
    session = Session(attach="at_start", notice_us=0)
    result = run(
        scenario(fleet("f", trace((50, 0), (110, 0), (150, 0)), session=session), events=(outage,))
    )
    assert delays_of(result) == expected_delays(0, 90, 50)
    assert sums(result)["attach_attempts"] == 2


def test_without_power_nothing_is_created_and_nothing_kept() -> None:
    cut = model.PowerCut(at_us=at(100), until_us=at(200), fleets=("f",))
    down = model.UpstreamFault(
        at_us=at(90), until_us=at(120), vpg_id="v", services=("beam",), mode="down"
    )
    result = run(
        scenario(
            fleet("f", trace((50, 0), (95, 0), (150, 0), (250, 0)), retry=fixed(60)),
            events=(down, cut),
        )
    )
    seen = sums(result)
    # the message of 95 s waits for its retry when the power goes; that of 150 s never is
    assert (seen["messages_offered"], seen["lost_cancelled"], seen["messages_delivered"]) == (
        3,
        1,
        2,
    )
