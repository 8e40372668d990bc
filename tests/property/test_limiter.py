"""The limiter's promises, against oracles that share nothing with its arithmetic.

The oracles: a fluid bucket in fractions, the virtual scheduling form of the generic cell rate
algorithm (ITU-T I.371), and the promise itself ("in any closed interval of t at most burst +
rate × t") taken as a rule.
"""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vpg.gateway.limiter import (
    EXPIRES,
    FULL,
    NO_QUEUE_MAX,
    NO_WINDOW,
    bucket_admit,
    bucket_admit_soon,
    bucket_enqueue,
    bucket_full,
    bucket_resize,
    bucket_retry_after_us,
    retry_after_s,
    window_admit,
    window_enqueue,
    window_retry_after_us,
)

SECOND_US = 1_000_000
CENTURY_US = 100 * 366 * 86_400 * SECOND_US
FOREVER_US = 10**15

rates = st.one_of(st.integers(1, 400), st.integers(1, 1_000_000))
bursts = st.one_of(st.integers(1, 5), st.integers(1, 400))
gaps_us = st.one_of(
    st.just(0),
    st.integers(0, 3),
    st.integers(0, 40_000),
    st.integers(0, 2 * SECOND_US),
    st.integers(0, CENTURY_US),
)
starts_us = st.integers(0, 2_000_000_000 * SECOND_US)


@st.composite
def instants(draw: st.DrawFn, *, most: int = 60) -> list[int]:
    """Ascending instants; gaps from ties to a century."""
    now = draw(starts_us)
    times = []
    for gap in draw(st.lists(gaps_us, min_size=1, max_size=most)):
        now += gap
        times.append(now)
    return times


@st.composite
def busy(draw: st.DrawFn, rate: int, *, most: int = 60) -> list[int]:
    """Ascending instants around one token apart, so that the bucket hovers at its edge."""
    token_us = SECOND_US // rate + 1
    near = st.integers(max(token_us - 2, 0), token_us + 1)
    gaps = st.one_of(near, st.integers(0, token_us), st.just(0))
    now = draw(starts_us)
    times = []
    for gap in draw(st.lists(gaps, min_size=1, max_size=most)):
        now += gap
        times.append(now)
    return times


@st.composite
def loads(draw: st.DrawFn) -> tuple[int, int, list[int]]:
    """(rate, burst, instants)."""
    rate = draw(rates)
    return rate, draw(bursts), draw(st.one_of(instants(), busy(rate)))


def admit_all(rate: int, burst: int, times: list[int], cost: int = 1) -> list[int]:
    tokens, last = bucket_full(burst), times[0]
    decisions = []
    for t in times:
        tokens, last, admitted = bucket_admit(tokens, last, t, rate, burst, cost)
        decisions.append(admitted)
    return decisions


def enqueue_all(rate: int, burst: int, times: list[int]) -> list[int]:
    """Instants at which the attempts are admitted, when each may wait as long as it takes."""
    tokens, last = bucket_full(burst), times[0]
    admitted = []
    for t in times:
        tokens, last, wait = bucket_enqueue(
            tokens, last, t, rate, burst, 1, FOREVER_US, NO_QUEUE_MAX
        )
        admitted.append(t + wait)
    return admitted


def breaks_promise(rate: int, burst: int, admitted: list[int]) -> bool:
    """Whether a closed interval between two admissions holds more than burst + rate × t."""
    return any(
        (j - i + 1) * SECOND_US > burst * SECOND_US + rate * (admitted[j] - admitted[i])
        for i in range(len(admitted))
        for j in range(i, len(admitted))
    )


def test_without_its_division_it_answers_alike_while_gaps_are_hours() -> None:
    dice = random.Random(7)
    for _ in range(20_000):
        rate, burst, cost = dice.randint(1, 1000), dice.randint(1, 1000), dice.randint(1, 3)
        tokens, last = dice.randint(0, bucket_full(burst)), dice.randint(0, 10**15)
        t = last + dice.choice([0, 1, dice.randint(0, 10**6), dice.randint(0, 10**11)])
        full = bucket_admit(tokens, last, t, rate, burst, cost)
        short = bucket_admit_soon(tokens, last, t, rate, bucket_full(burst), bucket_full(cost))
        assert short == (full[0], full[2])


# ---- token bucket, reject ------------------------------------------------------------------------


@given(loads())
def test_every_closed_interval_admits_at_most_burst_plus_rate_times_length(
    load: tuple[int, int, list[int]],
) -> None:
    rate, burst, times = load
    decisions = admit_all(rate, burst, times)
    admitted = [t for t, one in zip(times, decisions, strict=True) if one]
    assert not breaks_promise(rate, burst, admitted)


@given(loads())
def test_whatever_the_promise_allows_is_admitted(load: tuple[int, int, list[int]]) -> None:
    """The promise alone predicts each decision: nothing is refused that would keep it."""
    rate, burst, times = load
    admitted: list[int] = []
    expected = []
    for t in times:
        allowed = all(
            (len(admitted) - j + 1) * SECOND_US <= burst * SECOND_US + rate * (t - earlier)
            for j, earlier in enumerate(admitted)
        )
        if allowed:
            admitted.append(t)
        expected.append(int(allowed))
    assert admit_all(rate, burst, times) == expected


@given(loads(), st.integers(1, 3))
def test_fluid_bucket_in_fractions_agrees(load: tuple[int, int, list[int]], cost: int) -> None:
    rate, burst, times = load
    level = Fraction(burst)
    before = times[0]
    expected = []
    for t in times:
        level = min(Fraction(burst), level + Fraction(rate * (t - before), SECOND_US))
        before = t
        expected.append(int(level >= cost))
        if level >= cost:
            level -= cost
    assert admit_all(rate, burst, times, cost) == expected


@given(loads())
def test_generic_cell_rate_algorithm_agrees(load: tuple[int, int, list[int]]) -> None:
    """Virtual scheduling: increment 1 / rate, tolerance (burst − 1) / rate."""
    rate, burst, times = load
    arrival = Fraction(times[0])
    increment = Fraction(SECOND_US, rate)
    expected = []
    for t in times:
        conforms = t >= arrival - (burst - 1) * increment
        if conforms:
            arrival = max(arrival, Fraction(t)) + increment
        expected.append(int(conforms))
    assert admit_all(rate, burst, times) == expected


@given(loads())
def test_state_moves_forward_and_stays_within_the_bucket(load: tuple[int, int, list[int]]) -> None:
    rate, burst, times = load
    tokens, last = bucket_full(burst), times[0]
    for t in times:
        tokens, now, admitted = bucket_admit(tokens, last, t, rate, burst, 1)
        assert now == t >= last
        assert 0 <= tokens <= (burst - admitted) * SECOND_US
        last = now


@given(loads(), st.integers(1, 5))
def test_retry_after_is_exact(load: tuple[int, int, list[int]], cost: int) -> None:
    rate, burst, times = load
    burst = max(burst, cost)
    tokens, last = bucket_full(burst), times[0]
    for t in times:
        tokens, last, admitted = bucket_admit(tokens, last, t, rate, burst, cost)
        wait = bucket_retry_after_us(tokens, rate, cost)
        assert bucket_admit(tokens, last, t + wait, rate, burst, cost)[2] == 1
        if not admitted:
            assert wait > 0
        if wait:
            assert bucket_admit(tokens, last, t + wait - 1, rate, burst, cost)[2] == 0


@given(loads(), st.integers(0, 2**32))
def test_refilling_in_two_steps_is_refilling_in_one(
    load: tuple[int, int, list[int]], place: int
) -> None:
    """A cut of the run between two attempts (a refused look in between) changes nothing."""
    rate, burst, times = load
    tokens, last = bucket_full(burst), times[0]
    for t in times:
        between = last + place % (t - last + 1)
        half = bucket_admit(tokens, last, between, rate, burst, burst + 1)
        assert half[2] == 0
        once = bucket_admit(tokens, last, t, rate, burst, 1)
        assert bucket_admit(half[0], half[1], t, rate, burst, 1) == once
        tokens, last, _ = once


@given(loads())
def test_a_cost_above_the_burst_is_never_admitted(load: tuple[int, int, list[int]]) -> None:
    rate, burst, times = load
    assert sum(admit_all(rate, burst, times, burst + 1)) == 0
    full = bucket_full(burst)
    refused = bucket_enqueue(
        full, times[0], times[0], rate, burst, burst + 1, FOREVER_US, NO_QUEUE_MAX
    )
    assert refused == (full, times[0], EXPIRES)


@given(rates, bursts, gaps_us, st.integers(0, CENTURY_US), st.data())
def test_a_clock_that_steps_back_refills_nothing(
    rate: int, burst: int, gap: int, back: int, data: st.DataObject
) -> None:
    tokens = data.draw(st.integers(0, burst * SECOND_US))
    last = CENTURY_US
    tokens, last, _ = bucket_admit(tokens, last, last + gap, rate, burst, burst + 1)
    assert bucket_admit(tokens, last, last - back, rate, burst, burst + 1) == (tokens, last, 0)


# ---- token bucket, queue -------------------------------------------------------------------------


@given(loads())
def test_queue_admits_in_order_as_early_as_the_promise_allows(
    load: tuple[int, int, list[int]],
) -> None:
    """For a burst of one this is Lindley's recursion with service time ceil(1 / rate)."""
    rate, burst, times = load
    expected: list[int] = []
    for n, t in enumerate(times):
        earliest = max([t, *expected[-1:]])
        for j, earlier in enumerate(expected):
            excess = n - j + 1 - burst
            if excess > 0:
                earliest = max(earliest, earlier + -(-excess * SECOND_US // rate))
        expected.append(earliest)
    admitted = enqueue_all(rate, burst, times)
    assert admitted == expected
    assert not breaks_promise(rate, burst, admitted)


@given(rates, st.integers(2, 5), st.integers(1, 200))
def test_long_run_rate_of_a_queue_is_exact(rate: int, burst: int, behind: int) -> None:
    """The n-th behind a spent burst is admitted n / rate later, rounded up once and not n times."""
    admitted = enqueue_all(rate, burst, [0] * (burst + behind))
    assert admitted[burst:] == [-(-n * SECOND_US // rate) for n in range(1, behind + 1)]


@given(loads(), st.integers(0, 10), st.integers(0, 3 * SECOND_US))
def test_queue_bound_and_deadline_take_nothing_from_the_others(
    load: tuple[int, int, list[int]], queue_max: int, deadline: int
) -> None:
    rate, burst, times = load
    tokens, last = bucket_full(burst), times[0]
    admitted: list[int] = []
    passed: list[int] = []
    for t in times:
        waiting = sum(instant > t for instant in admitted)
        free = enqueue_all(rate, burst, [*passed, t])[-1] - t
        before = bucket_admit(tokens, last, t, rate, burst, burst + 1)[:2]
        tokens, last, wait = bucket_enqueue(tokens, last, t, rate, burst, 1, deadline, queue_max)
        if free and waiting >= queue_max:
            assert wait == FULL
        elif free > deadline:
            assert wait == EXPIRES
        else:
            assert wait == free
        if wait >= 0:
            admitted.append(t + wait)
            passed.append(t)
        else:
            assert (tokens, last) == before


@given(loads())
def test_queue_without_room_is_the_rejecting_bucket(load: tuple[int, int, list[int]]) -> None:
    rate, burst, times = load
    tokens, last = bucket_full(burst), times[0]
    decisions = []
    for t in times:
        tokens, last, wait = bucket_enqueue(tokens, last, t, rate, burst, 1, FOREVER_US, 0)
        decisions.append(int(wait == 0))
    assert decisions == admit_all(rate, burst, times)


# ---- resize --------------------------------------------------------------------------------------


@given(loads(), rates, bursts, gaps_us)
def test_resize_keeps_the_tokens_capped_to_the_new_burst(
    load: tuple[int, int, list[int]], new_rate: int, new_burst: int, gap: int
) -> None:
    rate, burst, times = load
    tokens, last = bucket_full(burst), times[0]
    for t in times:
        tokens, last, _ = bucket_admit(tokens, last, t, rate, burst, 1)
    refilled = min(burst * SECOND_US, tokens + rate * gap)
    kept = bucket_resize(tokens, last, last + gap, rate, burst, new_rate, new_burst)
    assert kept == (min(refilled, new_burst * SECOND_US), last + gap)


@given(loads(), rates, bursts, st.integers(0, 2 * SECOND_US))
def test_resize_keeps_promised_slots_and_queues_newcomers_behind_them(
    load: tuple[int, int, list[int]], new_rate: int, new_burst: int, gap: int
) -> None:
    rate, burst, times = load
    tokens, last = bucket_full(burst), times[0]
    slots = []
    for t in times:
        tokens, last, wait = bucket_enqueue(
            tokens, last, t, rate, burst, 1, FOREVER_US, NO_QUEUE_MAX
        )
        slots.append(t + wait)
    at = last + gap
    tokens, last = bucket_resize(tokens, last, at, rate, burst, new_rate, new_burst)
    after = []
    for _ in range(5):
        tokens, last, wait = bucket_enqueue(
            tokens, last, at, new_rate, new_burst, 1, FOREVER_US, NO_QUEUE_MAX
        )
        after.append(at + wait)
    assert after[0] >= max(slots[-1], at)
    assert not breaks_promise(new_rate, new_burst, after)


# ---- fixed window --------------------------------------------------------------------------------


@given(st.integers(1, 40), instants(), st.integers(1, 3))
def test_each_utc_second_admits_at_most_the_rate_and_refuses_only_above_it(
    rate: int, times: list[int], cost: int
) -> None:
    window, used = NO_WINDOW, 0
    spent: dict[int, int] = {}
    for t in times:
        window, used, admitted = window_admit(window, used, t, rate, cost)
        second = t // SECOND_US
        assert admitted == (spent.get(second, 0) + cost <= rate)
        spent[second] = spent.get(second, 0) + cost * admitted
        assert (window, used) == (second, spent[second])
    assert max(spent.values()) <= rate


@given(
    st.integers(1, 10),
    st.lists(st.integers(0, 700_000), min_size=1, max_size=60),
    st.integers(0, 12),
    st.integers(0, 3 * SECOND_US),
)
def test_window_queue_fills_seconds_in_order(
    rate: int, gaps: list[int], queue_max: int, deadline: int
) -> None:
    window, used, now = NO_WINDOW, 0, 0
    admitted: list[int] = []
    spent: dict[int, int] = {}
    for gap in gaps:
        now += gap
        waiting = sum(instant > now for instant in admitted)
        into = max([now // SECOND_US, *(i // SECOND_US for i in admitted[-1:])])
        while spent.get(into, 0) >= rate:
            into += 1
        free = max(into * SECOND_US - now, 0)
        window, used, wait = window_enqueue(window, used, now, rate, 1, deadline, queue_max)
        if free and waiting >= queue_max:
            assert wait == FULL
        elif free > deadline:
            assert wait == EXPIRES
        else:
            assert wait == free
            admitted.append(now + wait)
            spent[into] = spent.get(into, 0) + 1
    assert all(a <= b for a, b in pairwise(admitted))
    assert max(spent.values(), default=0) <= rate


@given(st.integers(1, 40), starts_us)
def test_window_retry_after_is_exact(rate: int, at: int) -> None:
    window, used = at // SECOND_US, rate
    wait = window_retry_after_us(at)
    assert 1 <= wait <= SECOND_US
    assert window_admit(window, used, at + wait, rate, 1)[2] == 1
    assert window_admit(window, used, at + wait - 1, rate, 1)[2] == 0


@given(st.integers(0, CENTURY_US))
def test_retry_after_header_is_the_least_whole_second_of_at_least_one(us: int) -> None:
    seconds = retry_after_s(us)
    assert seconds >= 1
    assert seconds * SECOND_US >= us
    assert seconds == 1 or (seconds - 1) * SECOND_US < us
