"""The limiter on streams whose outcome is known by hand: the figures of the VPG terms' Small."""

from __future__ import annotations

import pytest

from vpg.gateway.limiter import (
    NO_QUEUE_MAX,
    NO_WINDOW,
    bucket_admit,
    bucket_enqueue,
    bucket_full,
    bucket_resize,
    window_admit,
)

LINES = 1_000
RATE_PER_S = BURST = 30


def decisions(gap_us: int, attempts: int) -> list[int]:
    tokens, last = bucket_full(BURST), 0
    outcome = []
    for n in range(attempts):
        tokens, last, admitted = bucket_admit(tokens, last, n * gap_us, RATE_PER_S, BURST, 1)
        outcome.append(admitted)
    return outcome


def test_a_thousand_lines_every_33_4_s_evenly_are_never_throttled() -> None:
    assert all(decisions(33_400_000 // LINES, 100 * LINES))


def test_a_thousand_lines_every_33_2_s_evenly_are_throttled_4_in_1000_once_the_burst_is_spent() -> (
    None
):
    """Each gap of 33,200 µs refills 996,000 of the 1,000,000 tokens an attempt costs."""
    outcome = decisions(33_200_000 // LINES, 100 * LINES)
    first_refused = outcome.index(0)
    # The burst (less the attempt itself) lasts while it can pay 4,000 tokens an attempt.
    assert first_refused == 29_000_000 // 4_000 + 1
    steady = outcome[first_refused:]
    whole = len(steady) // 250 * 250
    # 250 attempts lack one whole request: 249 pass, 1 in 250 (0.40 %) is refused, in each 250.
    assert {sum(steady[i : i + 250]) for i in range(0, whole, 250)} == {249}


def test_a_thousand_lines_at_one_instant_are_30_admitted_and_970_refused() -> None:
    assert decisions(0, LINES) == [1] * 30 + [0] * 970


def test_a_thousand_lines_at_one_instant_queue_for_the_time_the_rate_needs() -> None:
    tokens, last = bucket_full(BURST), 0
    waits = []
    for _ in range(LINES):
        tokens, last, wait = bucket_enqueue(
            tokens, last, 0, RATE_PER_S, BURST, 1, 60_000_000, NO_QUEUE_MAX
        )
        waits.append(wait)
    assert waits[:31] == [0] * 30 + [33_334]
    assert waits[-1] == -(-970_000_000 // 30)


def test_a_century_without_traffic_fills_the_largest_bucket_and_no_more() -> None:
    century_us = 100 * 366 * 86_400 * 1_000_000
    assert bucket_admit(0, 0, century_us, 1_000_000, 10**9, 1) == (
        10**15 - 1_000_000,
        century_us,
        1,
    )


def test_resize_to_a_larger_vpg_does_not_give_tokens() -> None:
    assert bucket_resize(0, 0, 0, 30, 30, 300, 300) == (0, 0)


def test_resize_to_a_smaller_vpg_drops_what_the_burst_cannot_hold() -> None:
    assert bucket_resize(bucket_full(300), 0, 0, 300, 300, 30, 30) == (bucket_full(30), 0)


@pytest.mark.parametrize(("new_rate", "admitted"), [(10, 0), (30, 1)])
def test_fixed_window_keeps_its_used_count_over_a_resize(new_rate: int, admitted: int) -> None:
    window, used = NO_WINDOW, 0
    for _ in range(20):
        window, used, _ = window_admit(window, used, 500_000, 90, 1)
    assert window_admit(window, used, 600_000, new_rate, 1) == (0, 20 + admitted, admitted)


def test_two_legs_cost_two_requests() -> None:
    assert bucket_admit(2_000_000, 0, 0, 30, 30, 2) == (0, 0, 1)
    assert bucket_admit(1_999_999, 0, 0, 30, 30, 2) == (1_999_999, 0, 0)
