"""Cases of the simulator that can be worked out by hand: requests, retries, sessions, rows."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from scenarios import model
from scenarios.model import Limiter, MirrorPeer, RetryPolicy, Session, Upstream
from sim.plane.gateway import Gateway
from tests.support_sim import (
    START_US,
    at,
    every,
    fixed,
    fleet,
    limits,
    run,
    scenario,
    sec,
    small_limits,
    sums,
    trace,
    vpg,
)
from vpg.rating.histogram import bucket_of
from vpg.rating.totals import limited
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from vpg.results import RunResult

ON_REPORT = Session(attach="on_report")


def flows(what: model.Scenario, lines: int = 1000, rate: int = 30) -> dict[str, int]:
    return sums(run(what, small_limits(lines, rate)))


def by_hour(result: RunResult, name: str) -> list[Any]:
    return [getattr(row, name) for row in result.rows]


def delays_of(result: RunResult) -> dict[int, int]:
    (counts,) = result.delays.values()
    return counts


def expected_delays(*seconds: float) -> dict[int, int]:
    buckets = [bucket_of(sec(each)) for each in seconds]
    return {bucket: buckets.count(bucket) for bucket in buckets}


# ---- the request limit ---------------------------------------------------------------------------


def test_a_full_small_takes_a_message_a_line_every_33_4_s_for_ever() -> None:
    # given: 1,000 lines evenly spread at 29.94 requests/s, under the catalogue as shipped
    result = run(scenario(fleet("f", every(33.4), lines=1000), hours=2), limits())
    assert sum(limited(row, "throttled") for row in result.rows) == 0
    assert sum(limited(row, "accepted") for row in result.rows) == 7200_0000 // 334


def test_every_33_2_s_throttles_0_4_percent_once_the_burst_is_spent() -> None:
    # given: 30.12 requests/s into 30; the burst of 30 is spent after about 249 s
    result = run(scenario(fleet("f", every(33.2), lines=1000), hours=3), limits())
    share = Fraction(limited(result.rows[-1], "throttled"), limited(result.rows[-1], "attempts"))
    # then: in an hour after that, what is over is refused: 1 - 33.2 / 33.333...
    exact = 1 - Fraction(332, 10) / Fraction(100, 3)
    assert exact == Fraction(4, 1000)
    # one request more or less at each end of the hour
    assert abs(share - exact) <= Fraction(2, limited(result.rows[-1], "attempts"))


def test_a_thousand_at_one_instant_without_retry() -> None:
    burst = fleet("f", trace(*((5, line) for line in range(1000))), lines=1000)
    seen = sums(run(scenario(burst), limits()))
    assert (seen["accepted_beam"], seen["throttled_beam"]) == (30, 970)
    assert (seen["messages_delivered"], seen["lost_tries"]) == (30, 970)
    assert seen["rate_peak_per_s"] == 1000


@pytest.mark.parametrize(("shared", "accepted"), [("shared", [2, 0, 0, 2]), ("each", [2, 2, 2, 2])])
def test_plain_ip_is_never_limited_and_the_others_share_or_not(
    shared: Any, accepted: list[int]
) -> None:
    services: tuple[Any, ...] = ("beam", "funnel", "funk", "ip")
    sources = [
        trace((1, 0), (1, 0), name=f"{i}{name}", service=name) for i, name in enumerate(services)
    ]
    seen = flows(scenario(fleet("f", *sources), a05_rate_shared=shared), rate=2)
    assert [seen[f"accepted_{name}"] for name in services] == accepted


def test_both_legs_of_beam_cost_two() -> None:
    what = scenario(fleet("f", trace(*[(1, 0)] * 5)), a06_beam_legs="both")
    assert flows(what, rate=4)["accepted_beam"] == 2


def test_above_the_rate_may_be_accepted_and_flagged() -> None:
    what = scenario(fleet("f", trace(*[(1, 0)] * 5)), a03_above_rate="accept_and_flag")
    seen = flows(what, rate=2)
    assert (seen["accepted_beam"], seen["requests_flagged"]) == (5, 3)


def test_a_fixed_window_starts_anew_at_each_utc_second() -> None:
    window = vpg(limiter=Limiter(kind="fixed_window"))
    messages = [(1.999999, 0)] * 3 + [(2, 0)] * 3
    seen = flows(scenario(fleet("f", trace(*messages)), vpgs=(window,)), rate=2)
    assert (seen["accepted_beam"], seen["throttled_beam"]) == (4, 2)


def test_a_queue_serves_in_order_and_expires_at_its_deadline() -> None:
    # given: one request a second, a burst of one, and four at 3598.5 s that may wait 2 s
    queue = Limiter(above="queue", burst_requests=1, queue_deadline_us=sec(2))
    what = scenario(fleet("f", trace(*[(3598.5, 0)] * 4)), vpgs=(vpg(limiter=queue),), hours=2)
    result = run(what, small_limits(10, 1))
    # then: admitted at 3598.5, 3599.5 and 3600.5; the fourth is throttled in the hour it expires
    assert by_hour(result, "accepted_beam") == [2, 1]
    assert by_hour(result, "throttled_beam") == [0, 1]
    assert by_hour(result, "pending_end") == [2, 0]
    assert by_hour(result, "rate_peak_per_s") == [4, 0]


def test_a_full_queue_throttles_at_once() -> None:
    queue = Limiter(above="queue", burst_requests=1, queue_requests_max=1)
    what = scenario(fleet("f", trace(*[(3598.5, 0)] * 4)), vpgs=(vpg(limiter=queue),), hours=2)
    result = run(what, small_limits(10, 1))
    assert by_hour(result, "accepted_beam") == [2, 0]
    assert by_hour(result, "throttled_beam") == [2, 0]


def test_a_resize_keeps_the_tokens_up_to_the_new_burst() -> None:
    # given: 5 of 6 tokens of a Large left when it becomes a Small of 2/s, in the same microsecond
    resize = model.Recreate(at_us=at(1), vpg_id="v", type="C", size="small")
    what = scenario(
        fleet("f", trace((1, 0), *[(1, 1)] * 5), lines=2),
        vpgs=(vpg(size="large"),),
        events=(resize,),
        a13_size_change="in_place_free",
    )
    assert flows(what, rate=2)["accepted_beam"] == 2


# ---- retries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "delays_s"),
    [
        (fixed(4), [0, 4, 8]),
        (RetryPolicy(steps=((sec(1), 1), (sec(8), 1), (sec(30), 1))), [0, 1, 9]),
    ],
    ids=["fixed", "growing"],
)
def test_a_throttled_message_comes_back_by_its_policy(
    policy: RetryPolicy, delays_s: list[float]
) -> None:
    # given: three messages at once, one request a second and a burst of one
    slow = vpg(limiter=Limiter(burst_requests=1))
    what = scenario(fleet("f", trace(*[(1, 0)] * 3), retry=policy), vpgs=(slow,))
    # then: one passes at once, one at the first retry of both, the last at its second
    assert delays_of(run(what, small_limits(10, 1))) == expected_delays(*delays_s)


def test_retry_after_is_honoured_only_where_the_policy_says_so() -> None:
    # given: two messages at once, one request a second and a burst of one
    steps = ((sec(0.1), 1),)
    for honours, tries in ((True, 2), (False, 11)):
        policy = RetryPolicy(steps=steps, retry_after=honours)
        what = scenario(
            fleet("f", trace(*[(1, 0)] * 2), retry=policy),
            vpgs=(vpg(limiter=Limiter(burst_requests=1)),),
        )
        # when: the second is refused for one second more
        seen = flows(what, rate=1)
        # then: it comes back once after that second, or every tenth of it
        assert seen["attempts_beam"] == 1 + tries
        assert seen["messages_delivered"] == 2


def test_reset_says_no_retry_after() -> None:
    policy = RetryPolicy(steps=((sec(0.1), 1),))
    what = scenario(
        fleet("f", trace(*[(1, 0)] * 2), retry=policy),
        vpgs=(vpg(limiter=Limiter(burst_requests=1)),),
        a03_above_rate="reset",
    )
    assert flows(what, rate=1)["attempts_beam"] == 1 + 11


def test_jitter_stays_around_the_delay_and_differs_by_message() -> None:
    policy = RetryPolicy(steps=((sec(100), 1),), jitter_ppm=500_000, tries_max=1, retry_after=False)
    what = scenario(
        fleet("f", trace(*((1, line) for line in range(50))), lines=50, retry=policy),
        vpgs=(vpg(limiter=Limiter(burst_requests=1)),),
    )
    counts = delays_of(run(what, small_limits(100, 1)))
    waits = [bucket for bucket in counts if bucket]
    assert len(waits) > 30
    assert min(waits) >= bucket_of(sec(50))
    assert max(waits) <= bucket_of(sec(150))


@pytest.mark.parametrize(
    ("policy", "lost", "attempts"),
    [
        (fixed(10), None, 361),
        (fixed(10, 3), "lost_tries", 4),
        (fixed(10, deadline_us=sec(30)), "lost_deadline", 4),
        (fixed(10, deadline_us=sec(29.999999)), "lost_deadline", 3),
        (RetryPolicy(), "lost_tries", 1),
    ],
)
def test_tries_end_by_number_or_deadline(
    policy: RetryPolicy, lost: str | None, attempts: int
) -> None:
    # given: an upstream that is down all hour, and one message at its first instant
    down = model.UpstreamFault(
        at_us=START_US, until_us=at(7200), vpg_id="v", services=("beam",), mode="down"
    )
    what = scenario(fleet("f", trace((0, 0)), retry=policy), events=(down,), end_us=at(3600.5))
    seen = flows(what)
    assert seen["failed_upstream_beam"] == seen["attempts_beam"] == attempts
    assert seen["bytes_up"] == seen["messages_delivered"] == 0
    if lost:
        assert seen[lost] == 1
        assert sum(seen[f"lost_{why}"] for why in ("tries", "deadline", "buffer", "cancelled")) == 1


@pytest.mark.parametrize(
    ("cycle", "delays_s"), [(True, [1, 1, 5, 1, 1, 5, 1]), (False, [1, 1, 5, 5, 5, 5, 5])]
)
def test_steps_start_again_or_the_last_repeats(cycle: bool, delays_s: list[int]) -> None:
    # given: an upstream that comes back just after the seventh retry would begin
    until_s = 100 + sum(delays_s)
    down = model.UpstreamFault(
        at_us=START_US, until_us=at(until_s), vpg_id="v", services=("beam",), mode="down"
    )
    policy = RetryPolicy(steps=((sec(1), 2), (sec(5), 1)), cycle=cycle)
    result = run(scenario(fleet("f", trace((100, 0)), retry=policy), events=(down,)))
    # then: seven tries fail; the eighth, at the very end of the fault, passes
    assert sums(result)["attempts_beam"] == 8
    assert delays_of(result) == expected_delays(sum(delays_s))


# ---- upstream ------------------------------------------------------------------------------------


def test_a_slow_upstream_is_delay_until_it_is_failure() -> None:
    slow = model.UpstreamFault(
        at_us=at(10), until_us=at(20), vpg_id="v", services=("beam",), mode="slow", delay_us=sec(2)
    )
    slower = model.UpstreamFault(
        at_us=at(20), until_us=at(30), vpg_id="v", services=("beam",), mode="slow", delay_us=sec(3)
    )
    own = vpg(upstream=Upstream(delay_us=sec(1), timeout_us=sec(3)))
    messages = trace((5, 0), (10, 0), (19.999999, 0), (20, 0), (30, 0))
    result = run(scenario(fleet("f", messages), vpgs=(own,), events=(slow, slower)))
    assert delays_of(result) == expected_delays(1, 3, 3, 1)
    assert sums(result)["failed_upstream_beam"] == 1


def test_one_in_flight_holds_or_drops_the_others() -> None:
    own = vpg(upstream=Upstream(delay_us=sec(10)))
    messages = trace((1, 0), (2, 0), (3, 0), (30, 0))
    held = run(scenario(fleet("f", messages, outstanding="hold"), vpgs=(own,)))
    # 1 -> 11, 2 -> (11) 21, 3 -> (21) 31, 30 -> (31) 41
    assert delays_of(held) == expected_delays(10, 19, 28, 11)
    dropped = sums(run(scenario(fleet("f", messages, outstanding="drop"), vpgs=(own,))))
    assert (dropped["messages_delivered"], dropped["lost_buffer"]) == (2, 2)
    short = sums(
        run(scenario(fleet("f", messages, outstanding="hold", buffer_messages=1), vpgs=(own,)))
    )
    assert (short["messages_delivered"], short["lost_buffer"]) == (3, 1)


def test_an_answer_from_before_a_power_cut_frees_nobody() -> None:
    own = vpg(upstream=Upstream(delay_us=sec(10)))
    cut = model.PowerCut(at_us=at(2), until_us=at(3), fleets=("f",))
    messages = trace((1, 0), (4, 0), (6, 0))
    held = run(scenario(fleet("f", messages, outstanding="hold"), vpgs=(own,), events=(cut,)))
    # 4 -> 14, so 6 waits until 14 and is there at 24; the answer at 11 is nobody's
    assert delays_of(held) == expected_delays(10, 10, 18)


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


# ---- Junction ------------------------------------------------------------------------------------


def test_mirrored_bytes_by_hand() -> None:
    # given: 1,461 bytes up and 5 down in packets of 1,460, 200 bytes of protocol each way
    peers = (MirrorPeer(ip="10.0.0.1"), MirrorPeer(ip="10.0.0.2"))
    own = vpg(mirroring=True, mirror_peers=peers, message_overhead_bytes=200)
    source = model.Trace(
        name="t", service="beam", up=model.Payload(), down=model.Payload(),
        times_us=(at(1),), lines=(0,), bytes_up=(1461,), bytes_down=(5,),
    )  # fmt: skip
    seen = flows(scenario(fleet("f", source), vpgs=(own,)))
    # then: up 1,661 + 2 packets x (40 + 24); down 205 + 1 x 64; to each of two peers
    assert seen["bytes_mirrored"] == 2 * (1661 + 2 * 64 + 205 + 64)
    assert (seen["bytes_up"], seen["bytes_down"]) == (1461, 5)
    assert seen["mirror_dropped"] == 0


@pytest.mark.parametrize(("counted", "copies"), [(True, 5), (False, 2)])
def test_throttled_requests_are_mirrored_or_not(counted: bool, copies: int) -> None:
    own = vpg(mirroring=True, mirror_peers=(MirrorPeer(ip="10.0.0.1"),))
    what = scenario(fleet("f", trace(*[(1, 0)] * 5)), vpgs=(own,), a35_mirror_throttled=counted)
    # two accepted: request and answer; three throttled: the request
    assert flows(what, rate=2)["bytes_mirrored"] == copies * (10 + 64) + 2 * (5 + 64)


def test_a_peer_takes_its_capacity_a_second_and_nothing_while_down() -> None:
    peer = MirrorPeer(ip="10.0.0.1", capacity_bytes_per_s=200)
    own = vpg(mirroring=True, mirror_peers=(peer,))
    fault = model.MirrorPeerFault(at_us=at(5), until_us=at(6), vpg_id="v", ip="10.0.0.1")
    what = scenario(fleet("f", trace((1, 0), (1, 0), (5, 0))), vpgs=(own,), events=(fault,))
    seen = flows(what)
    # 74 + 69 fit into 200; the next 74 and 69 do not; at 5 s two more are lost
    assert (seen["bytes_mirrored"], seen["mirror_dropped"]) == (74 + 69, 4)


def test_redirection_adds_its_path_and_its_outages() -> None:
    own = vpg(redirection=True, redirection_delay_us=sec(1))
    fault = model.RedirectionFault(at_us=at(5), until_us=at(6), vpg_id="v")
    off = model.FeatureSwitch(at_us=at(10), vpg_id="v", feature="redirection", value=0)
    what = scenario(fleet("f", trace((1, 0), (5, 0), (11, 0))), vpgs=(own,), events=(fault, off))
    result = run(what)
    assert delays_of(result) == expected_delays(1, 0)
    assert sums(result)["failed_upstream_beam"] == 1


def test_inspection_counts_distinct_lines_an_hour() -> None:
    messages = trace((1, 0), (2, 0), (3, 1), (3700, 2), (3800, 2), (7300, 0))
    on = model.FeatureSwitch(at_us=at(2.5), vpg_id="v", feature="inspection", value=1)
    off = model.FeatureSwitch(at_us=at(3750), vpg_id="v", feature="inspection", value=0)
    result = run(scenario(fleet("f", messages, lines=3), events=(on, off), hours=3))
    assert by_hour(result, "lines_inspected") == [1, 1, 0]
    assert by_hour(result, "inspection_on") == [1, 1, 0]
    assert by_hour(result, "junction_on") == [1, 1, 0]


# ---- rows ----------------------------------------------------------------------------------------


def rows_of(what: model.Scenario) -> list[tuple[int, int, str, str]]:
    return [
        ((row.hour_start_us - START_US) // HOUR_US, row.config_seq, row.size, row.one_off)
        for row in run(what).rows
    ]


@pytest.mark.parametrize(
    ("second", "kind", "rows"),
    [
        (
            5400,
            "C",
            [
                (0, 0, "small", ""),
                (1, 0, "small", ""),
                (1, 1, "large", "contract_fee_c"),
                (2, 1, "large", ""),
            ],
        ),
        (
            3600,
            "D",
            [(0, 0, "small", ""), (1, 1, "large", "change_fee_d"), (2, 1, "large", "")],
        ),
    ],
    ids=["mid-hour", "at-the-hour"],
)
def test_a_resize_splits_its_hour_unless_it_is_at_the_hour(
    second: int, kind: Any, rows: list[tuple[int, int, str, str]]
) -> None:
    resize = model.Recreate(at_us=at(second), vpg_id="v", type=kind, size="large")
    what = scenario(fleet("f", lines=2), vpgs=(vpg(type=kind),), events=(resize,), hours=3)
    assert rows_of(what) == rows
    # and every session was cut; the devices had not noticed by the end
    assert sum(by_hour(run(what), "sessions_deleted")) == 2


def test_a_resize_in_place_cuts_nobody_and_costs_no_fee() -> None:
    resize = model.Recreate(at_us=at(5400), vpg_id="v", type="C", size="large")
    what = scenario(
        fleet("f", every(60)), events=(resize,), hours=2, a13_size_change="in_place_free"
    )
    assert rows_of(what) == [(0, 0, "small", ""), (1, 0, "small", ""), (1, 1, "large", "")]
    assert sums(run(what))["sessions_deleted"] == 0


def test_a_vpg_has_rows_for_the_hours_it_touches_and_no_other() -> None:
    # given: one that exists from 1:30 until exactly 3:00
    own = vpg(created_at_us=at(5400), deleted_at_us=at(10800), contract_fee=True)
    result = run(scenario(fleet("f", every(60)), vpgs=(own,), hours=5))
    assert [(row.hour_start_us - START_US) // HOUR_US for row in result.rows] == [1, 2]
    assert by_hour(result, "one_off") == ["contract_fee_c", ""]
    assert by_hour(result, "messages_offered") == [30, 60]
    assert by_hour(result, "sessions_end") == [1, 0]
    # one microsecond more touches one hour more
    longer = vpg(created_at_us=at(5400), deleted_at_us=at(10800) + 1)
    touched = run(scenario(fleet("f", every(60)), vpgs=(longer,), hours=5)).rows
    assert [(row.hour_start_us - START_US) // HOUR_US for row in touched] == [1, 2, 3]


def test_connections_and_ip_sets_count_at_their_peak() -> None:
    def change(second: float, by: int) -> model.ConnectionChange:
        return model.ConnectionChange(at_us=at(second), vpg_id="v", kind="vpn", change=by)

    events = (change(100, 2), change(200, -3), change(3600, 1), change(7300, -1))
    result = run(scenario(vpgs=(vpg(vpn=1),), events=events, hours=3))
    assert by_hour(result, "vpn_peak") == [3, 1, 1]


def test_a_stopped_run_has_touched_no_hour_that_it_did_not_enter() -> None:
    from sim.run import simulate

    looks = iter(range(1_000_000))
    what = scenario(fleet("f", every(60)), hours=3)
    result = simulate(what, limits(), stop=lambda: next(looks) >= 60)
    assert result.status == "partial"
    assert result.ended_at_us == at(3600)
    assert len(result.rows) == 1


@pytest.mark.parametrize("created_s", [0, 100])
def test_lines_that_join_are_in_use_whatever_the_fleet_began_with(created_s: int) -> None:
    # given: a fleet that begins suspended, or without a line, and grows before or after its VPG
    growth = model.Growth(at_us=at(50), fleet="f", lines=3)
    for first in (fleet("f", every(10), status="suspended"), fleet("f", every(10), lines=0)):
        own = vpg(created_at_us=at(created_s))
        seen = flows(scenario(first, vpgs=(own,), events=(growth,)))
        assert seen["sessions_end"] == 3
        assert seen["messages_delivered"] >= 3 * 350


def test_evicted_lines_that_notice_at_once_do_not_stop_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given: three lines for two slots; whoever is evicted notices at once and attaches again
    calls = iter(range(10_000))
    attach = Gateway.attach

    def counted(gateway: Gateway, line: Any, now_us: int) -> int:
        next(calls)  # StopIteration would mean 1,000 attach attempts a second
        return attach(gateway, line, now_us)

    monkeypatch.setattr(Gateway, "attach", counted)
    eager = fleet("f", lines=3, session=Session(attach="at_start", notice_us=0))
    what = scenario(eager, end_us=at(10), a02_above_line_cap="evict_longest_idle")
    assert flows(what, lines=2)["lines_peak"] == 2


def test_the_lines_peak_of_a_minute_sees_its_beginning() -> None:
    # given: two sessions from 10 s to 105 s, a third at 110 s
    messages = trace((10, 0), (10, 1), (110, 2))
    what = scenario(fleet("f", messages, lines=3, session=ON_REPORT), a16_idle_timeout_us=sec(95))
    assert [row.lines_peak for row in run(what).minutes] == [2, 2]
