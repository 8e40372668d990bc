"""One timer for ten thousand connections: who is due is in buckets, one for each tick.

Owns: the buckets and the one timer. Does not own: what being due means. Times: seconds of the
loop's clock (monotonic).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


class Waiter(Protocol):
    """Whoever can be due."""

    tick: int
    """Its bucket; -1: it waits for nothing."""

    def __hash__(self) -> int:
        """Tell it from others."""


Due = TypeVar("Due", bound=Waiter)


class Wheel(Generic[Due]):
    """Calls back who is due, a tick late at most."""

    def __init__(self, tick_s: float, due: Callable[[Due], None]) -> None:
        """Call ``due`` for each; looked at every ``tick_s``."""
        self._tick_s = tick_s
        self._due = due
        self._buckets: dict[int, set[Due]] = {}
        self._done = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to look; must be called on the loop."""
        self._loop = asyncio.get_running_loop()
        self._done = int(self._loop.time() / self._tick_s)
        self._timer = self._loop.call_later(self._tick_s, self._turn)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = None

    def put(self, waiter: Due, after_s: float) -> None:
        """Let ``waiter`` be due after ``after_s`` instead of whenever it was."""
        self.remove(waiter)
        if self._loop is None:
            return
        tick = max(int((self._loop.time() + after_s) / self._tick_s) + 1, self._done + 1)
        waiter.tick = tick
        self._buckets.setdefault(tick, set()).add(waiter)

    def remove(self, waiter: Due) -> None:
        """Let ``waiter`` be due no more."""
        bucket = self._buckets.get(waiter.tick)
        if bucket is not None:
            bucket.discard(waiter)
            if not bucket:
                del self._buckets[waiter.tick]
        waiter.tick = -1

    def _turn(self) -> None:
        loop = self._loop
        if loop is None:
            return
        self._timer = loop.call_later(self._tick_s, self._turn)
        now = int(loop.time() / self._tick_s)
        while self._done < now:
            self._done += 1
            for waiter in self._buckets.pop(self._done, ()):
                waiter.tick = -1
                self._due(waiter)
