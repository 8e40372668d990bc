"""What the gateway has to tell on its own account, sent in order and kept until it is counted.

Owns: the order, and that nothing is sent twice at once or forgotten after trouble. Does not own:
what is told (``vpg.service.gateway``) or the commit (``vpg.service.writer``). Sending an event
again is harmless: its (source, id) stays the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from vpg.service.ports import CONFLICT

if TYPE_CHECKING:
    from vpg.rating.events import UsageEvent
    from vpg.service.log import Log
    from vpg.service.ports import Counter

GROUP_EVENTS: Final = 1_000
"""Most events sent at a time."""


class Outbox:
    """Sends what waits in a list of usage events to a counter."""

    def __init__(self, events: list[UsageEvent], counter: Counter, log: Log) -> None:
        """Send from ``events``, which its owner appends to and never replaces."""
        self._events = events
        self._counter = counter
        self._log = log
        self._turn = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """How many events are not counted yet."""
        return len(self._events)

    async def send(self) -> None:
        """Return when every event that waits now is counted.

        Raises ``OverloadedError`` or ``StoreTroubleError``; what is not counted then waits on.
        """
        async with self._turn:
            left = len(self._events)
            while left > 0:
                group = self._events[: min(left, GROUP_EVENTS)]
                answers = await self._counter.count(group)
                del self._events[: len(group)]
                left -= len(group)
                conflicts = sum(1 for answer in answers if answer == CONFLICT)
                if conflicts:
                    self._log.error("own_events_refused", events=conflicts)
