"""Numba compiles the limiter's very functions unchanged, and they then decide the same.

Compiled integers are 64 bits wide and wrap silently, Python's are not: equal answers at the
extremes show that no intermediate value leaves int64.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numba
import pytest

from vpg.gateway import junction, limiter, lines

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 20_000
CENTURY_US = 100 * 366 * 86_400 * 1_000_000
EXTREME_RATES = (1, 2, 3, 30, 90, 300, 999_999, 1_000_000)
EXTREME_BURSTS = (1, 2, 30, 300, 10**9)
EXTREME_GAPS_US = (-CENTURY_US, -1, 0, 1, 33_333, 33_334, 10**6, CENTURY_US)


class Inputs:
    """Random arguments, half of them at the edges of what is valid."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, edges: tuple[int, ...], low: int, high: int) -> int:
        if self._random.random() < 0.5:
            return self._random.choice(edges)
        return self._random.randint(low, high)

    def rate(self) -> int:
        return self.pick(EXTREME_RATES, 1, 1_000_000)

    def burst(self) -> int:
        return self.pick(EXTREME_BURSTS, 1, 1_000)

    def times(self) -> tuple[int, int]:
        last = self.pick((0, CENTURY_US), 0, CENTURY_US)
        return last, max(last + self.pick(EXTREME_GAPS_US, 0, 10**7), 0)

    def tokens(self, burst: int, debt: int = 0) -> int:
        full = burst * 1_000_000
        return self.pick((-debt, 0, 1, 999_999, full - 1, full), -debt, full)

    def cost(self) -> int:
        return self.pick((1, 2, 10**9), 1, 40)

    def bucket(self, debt: int = 0) -> tuple[int, ...]:
        burst = self.burst()
        return self.tokens(burst, debt), *self.times(), self.rate(), burst

    def window(self) -> tuple[int, ...]:
        last, now = self.times()
        rate = self.rate()
        second = self.pick((-1, now // 10**6, now // 10**6 + 5), 0, last // 10**6)
        return second, self.pick((0, rate), 0, rate), now, rate, self.cost()

    def soon(self) -> tuple[int, ...]:
        tokens, last, now, rate, burst = self.bucket()
        capacity = limiter.bucket_full(burst)
        gap = min(max(now - last, 0), 10**10)
        return tokens, last, last + gap, rate, capacity, limiter.bucket_full(self.cost())

    def queue(self) -> tuple[int, int]:
        return self.pick((0, 30_000_000, 10**12), 0, 10**8), self.pick((-1, 0, 1), 0, 100)

    def message(self) -> tuple[int, ...]:
        header = self.pick((0, 40), 20, 80)
        mtu = header + self.pick((1, 1460), 1, 9000)
        return self.pick((0, 1460), 0, 10**9), self.pick((0,), 0, 2000), mtu, header


DEBT = 10**15
CASES: dict[Callable[..., object], Callable[[Inputs], tuple[int, ...]]] = {
    limiter.bucket_full: lambda i: (i.burst(),),
    limiter.bucket_admit: lambda i: (*i.bucket(), i.cost()),
    limiter.bucket_admit_soon: lambda i: i.soon(),
    limiter.bucket_retry_after_us: lambda i: (i.tokens(i.burst()), i.rate(), i.cost()),
    limiter.bucket_enqueue: lambda i: (*i.bucket(DEBT), i.cost(), *i.queue()),
    limiter.bucket_resize: lambda i: (*i.bucket(10**9), i.rate(), i.burst()),
    limiter.window_admit: lambda i: i.window(),
    limiter.window_enqueue: lambda i: (*i.window(), *i.queue()),
    limiter.window_retry_after_us: lambda i: (i.times()[1],),
    limiter.retry_after_s: lambda i: (i.pick((0, 10**6), 0, CENTURY_US),),
    lines.admit_session: lambda i: (
        i.pick((0,), 0, 20),
        i.pick((-1, 0), 0, 20),
        i.pick((0,), 1, 2),
    ),
    lines.admit_assigned: lambda i: (
        i.pick((0,), 0, 20),
        i.pick((-1, 0), 0, 20),
        i.pick((0,), 1, 2),
    ),
    junction.packets: lambda i: i.message(),
    junction.inner_bytes: lambda i: i.message(),
    junction.mirrored_bytes: lambda i: i.message(),
    junction.peer_take: lambda i: i.window(),
    junction.packet_bytes_at: lambda i: (i.pick((0,), 0, 3), *i.message()),
}


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_compiled_function_equals_the_plain_one(function: Callable[..., object]) -> None:
    compiled = numba.njit(function)
    inputs = Inputs(seed=2026)
    answers = set()
    for _ in range(CALLS):
        arguments = CASES[function](inputs)
        expected = function(*arguments)
        assert compiled(*arguments) == expected, arguments
        answers.add(expected)
    assert len(compiled.nopython_signatures) == 1
    # The inputs must reach more than one answer, else the comparison says little.
    assert len(answers) > 1


def test_no_function_over_integers_is_left_out() -> None:
    public = {
        f
        for module in (limiter, lines, junction)
        for name, f in vars(module).items()
        if not name.startswith("_") and callable(f) and f.__module__ == module.__name__
    }
    assert public == set(CASES)
