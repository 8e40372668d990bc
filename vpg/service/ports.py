"""What the parts of the live service ask of each other, as protocols: time, chance, counting.

Owns: the protocols and the trouble they may raise. Does not own: any of their makers. Real ones
for the server, made-up ones for tests: the service runs on simulated time as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from vpg.errors import VpgError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.rating.events import UsageEvent

COUNTED: Final = 0
"""The event is counted and kept: now, or by an earlier delivery of the same event."""
CONFLICT: Final = 1
"""Another event has this (source, id) already: nothing was counted."""


class OverloadedError(VpgError):
    """Too much waits for its commit: come back later; nothing was counted."""


class StoreTroubleError(VpgError):
    """The store could not commit (disk full, read-only, locked, gone): nothing was counted."""


class Clock(Protocol):
    """Service time."""

    def now_us(self) -> int:
        """Return the present instant (``SimUs``); it never steps back."""

    def wall_s(self, duration_us: int) -> float:
        """Return how long ``duration_us`` of service time takes on this machine's clock."""


class Counter(Protocol):
    """Counts usage events once, durably."""

    async def count(self, events: Sequence[UsageEvent]) -> Sequence[int]:
        """Return ``COUNTED`` or ``CONFLICT`` for each event, after the commit that holds it.

        Events are valid (``vpg.service.check``). Raises ``OverloadedError`` or
        ``StoreTroubleError``; then none of them is counted (sending them again is safe).
        """


class Chance(Protocol):
    """Whether a configured share of things goes wrong."""

    def hits(self, share_ppm: int, what: str, sim_id: str, serial: int) -> bool:
        """Return whether the ``serial``-th ``what`` of a line is among ``share_ppm``."""
