"""Retry policies: when the next try comes, in whole microseconds.

Owns: how a ``scenarios.model.RetryPolicy`` becomes delays. The same rule serves messages and attaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.model import MILLION
from sim.traffic.laws import below

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.model import RetryPolicy


class Backoff:
    """One policy, ready to answer."""

    __slots__ = ("_cycle", "_ends", "_last_us", "_steps", "deadline_us", "jitter_ppm", "retry_after", "tries_max")

    def __init__(self, policy: RetryPolicy) -> None:
        """Prepare ``policy``."""
        self._steps = policy.steps
        self._ends: list[int] = []
        total = 0
        for _, count in policy.steps:
            total += count
            self._ends.append(total)
        self._cycle = total if policy.cycle else 0
        self._last_us = policy.steps[-1][0] if policy.steps else 0
        self.jitter_ppm = policy.jitter_ppm
        # No steps means no retry at all, whatever the bound says.
        self.tries_max = 0 if not policy.steps else policy.tries_max
        self.deadline_us = policy.deadline_us
        self.retry_after = policy.retry_after

    def _base_us(self, nth: int) -> int:
        index = (nth - 1) % self._cycle if self._cycle else nth - 1
        for end, (delay_us, _) in zip(self._ends, self._steps, strict=True):
            if index < end:
                return delay_us
        return self._last_us

    def delay_us(self, nth: int, retry_after_us: int, word: Callable[[], int]) -> int:
        """Return the wait before retry ``nth`` (1 is the first), at least 1 µs, or -1 for never.

        ``retry_after_us`` is what the refusal asked for (0: nothing); ``word`` gives 64 random bits and is
        called only when the policy has jitter.
        """
        if self.tries_max is not None and nth > self.tries_max:
            return -1
        base_us = self._base_us(nth)
        if self.retry_after and retry_after_us > base_us:
            base_us = retry_after_us
        if self.jitter_ppm:
            swing_us = base_us * self.jitter_ppm // MILLION
            base_us += below(word(), 2 * swing_us) - swing_us
        return base_us if base_us > 1 else 1
