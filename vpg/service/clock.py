"""Service time: this machine's UTC, or k times as fast from a stated instant on.

Owns: the conversion between the machine's clock and service time (``SimUs``). Does not own: what
happens when. The one place of ``vpg.service`` that reads a clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from vpg.timebase import SECOND_US

_NS_PER_US = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Where service time begins, and how fast it runs; kept in the store, so restarts agree."""

    service_us: int
    wall_us: int
    scale: int = 1


def wall_us() -> int:
    """Return this machine's UTC in µs since the epoch."""
    return time.time_ns() // _NS_PER_US


class RunningClock:
    """Service time as this machine's clock says it; a clock set back holds service time still."""

    def __init__(self, anchor: Anchor) -> None:
        """Run from ``anchor``."""
        self.anchor = anchor
        self._last_us = anchor.service_us

    def now_us(self) -> int:
        """Return the present instant of service time."""
        anchor = self.anchor
        now = anchor.service_us + (time.time_ns() // _NS_PER_US - anchor.wall_us) * anchor.scale
        self._last_us = max(self._last_us, now)
        return self._last_us

    def wall_s(self, duration_us: int) -> float:
        """Return how many seconds of this machine ``duration_us`` of service time takes."""
        return duration_us / SECOND_US / self.anchor.scale


class SetClock:
    """Service time as somebody sets it: for tests and for simulated transports."""

    def __init__(self, at_us: int) -> None:
        """Stand at ``at_us``."""
        self._at_us = at_us

    def now_us(self) -> int:
        """Return the instant it stands at."""
        return self._at_us

    def set(self, at_us: int) -> None:
        """Go to ``at_us``, never back."""
        self._at_us = max(self._at_us, at_us)

    def wall_s(self, duration_us: int) -> float:
        """Return 0: nobody waits for simulated time."""
        del duration_us
        return 0.0
