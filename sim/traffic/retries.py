"""Retry policies: when the next try comes, in whole microseconds.

Owns: how a ``scenarios.model.RetryPolicy`` becomes delays. The same rule serves messages and
attaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.model import MILLION
from sim.traffic.laws import below

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.model import RetryPolicy


_WRITTEN_OUT = 256
"""Delays kept in a list; later ones are looked up in the steps."""


class Backoff:
    """One policy, ready to answer."""

    __slots__ = (
        "_cycle",
        "_delays_us",
        "_steps",
        "deadline_us",
        "jitter_ppm",
        "retry_after",
        "tries_max",
    )

    def __init__(self, policy: RetryPolicy) -> None:
        """Prepare ``policy``."""
        self._steps = policy.steps
        self._cycle = sum(count for _, count in policy.steps) if policy.cycle else 0
        self.jitter_ppm = policy.jitter_ppm
        # No steps means no retry at all, whatever the bound says.
        self.tries_max = policy.tries_max if policy.steps else 0
        self.deadline_us = policy.deadline_us
        self.retry_after = policy.retry_after
        self._delays_us = [self._looked_up_us(nth) for nth in range(1, _WRITTEN_OUT + 1)]

    def _looked_up_us(self, nth: int) -> int:
        left = (nth - 1) % self._cycle if self._cycle else nth - 1
        delay_us = 0
        for delay_us, count in self._steps:
            if left < count:
                return delay_us
            left -= count
        return delay_us

    def wait_us(self, nth: int) -> tuple[int, int]:
        """Return retry ``nth``'s wait before jitter and the swing of its jitter; (-1, 0): never."""
        if self.tries_max is not None and nth > self.tries_max:
            return -1, 0
        base_us = self._delays_us[nth - 1] if nth <= _WRITTEN_OUT else self._looked_up_us(nth)
        return base_us, base_us * self.jitter_ppm // MILLION

    def delay_us(self, nth: int, retry_after_us: int, word: Callable[[int], int]) -> int:
        """Return the wait before retry ``nth`` (1 is the first), at least 1 µs, or -1 for never.

        ``retry_after_us`` is what the refusal asked for (0: nothing); ``word(nth)`` gives 64 random
        bits and is called only when the policy has jitter.
        """
        if self.tries_max is not None and nth > self.tries_max:
            return -1
        base_us = self._delays_us[nth - 1] if nth <= _WRITTEN_OUT else self._looked_up_us(nth)
        if self.retry_after and retry_after_us > base_us:
            base_us = retry_after_us
        if self.jitter_ppm:
            swing_us = base_us * self.jitter_ppm // MILLION
            base_us += below(word(nth), 2 * swing_us) - swing_us
        return max(1, base_us)
