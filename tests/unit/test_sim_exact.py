"""Cases of the simulator that can be worked out by hand: limit, retries, upstream."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from scenarios import model
from scenarios.model import Limiter, RetryPolicy, Upstream
from tests.support_sim import (
    START_US,
    at,
    by_hour,
    delays_of,
    every,
    expected_delays,
    fixed,
    fleet,
    flows,
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
