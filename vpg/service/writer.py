"""The one writer: gathers what waits into groups, commits each group once, then answers all.

Owns: when a group is taken, where its commit runs, and the bound of what may wait. Does not own:
what counting means (``vpg.service.store``). Times: the monotonic clock of this machine, in ns.

A group costs one sync, whatever its size, so groups should be large when many wait and taken at
once when few do. Whoever was just answered will ask again soon: while the last groups tell of many
such callers, the writer waits until most of them are back, or until nobody comes any more. Short
syncs run in the loop: a thread would cost more, since both need the interpreter's one lock. Long
ones run in a thread, while the next group gathers; now and then one of them runs in the loop, to
see whether the disk has become fast again (in a thread the wait for the lock hides it).
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from vpg.errors import ensure
from vpg.service.ports import OverloadedError, StoreTroubleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpg.rating.events import UsageEvent
    from vpg.service.ports import Clock
    from vpg.service.store.base import Store

_T = TypeVar("_T")
INLINE_NS: Final = 2_000_000
"""Syncs shorter than this run in the loop."""
PROBE_EVERY: Final = 16
"""Of groups synced in a thread one in so many is synced in the loop …"""
PROBE_BELOW_NS: Final = 20_000_000
"""… unless even the loop's patience would notice."""
GROUP_EVENTS: Final = 2_000
"""A group takes no more events than this, so that no answer waits for too much work."""
MANY_CALLERS: Final = 32
"""From so many callers on it pays to wait until most of them are back …"""
SOME_CALLERS: Final = 4
"""… and from so many where a sync is long."""
SWITCH_S: Final = 0.001
"""Longest that a thread which has synced waits for the interpreter's lock."""
_BACK_NUMERATOR, _BACK_DENOMINATOR = 3, 4
_TURN_S: Final = 0.001
_TURNS_MAX: Final = 20
_EWMA_SHIFT: Final = 3


@dataclass(slots=True)
class WriterStats:
    """What the writer did so far; times in ns."""

    groups: int = 0
    events: int = 0
    conflicts: int = 0
    troubles: int = 0
    overloads: int = 0
    stage_ns: int = 0
    """Smoothed time of a group's statements."""
    sync_ns: int = 0
    """Smoothed time of a commit's sync."""
    waiting: int = 0
    """Events that wait now."""


@dataclass(slots=True, eq=False)
class _Asked:
    events: Sequence[UsageEvent]
    answer: asyncio.Future[Sequence[int]]


class Writer:
    """Group commit over one store; a ``vpg.service.ports.Counter``."""

    def __init__(self, *, store: Store, clock: Clock, pending_events: int = 20_000) -> None:
        """Write to ``store``; let at most ``pending_events`` wait."""
        self._store = store
        self._clock = clock
        self._bound = pending_events
        self._waiting: list[_Asked] = []
        self._wake: asyncio.Future[None] | None = None
        self._wake_at = 0
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._switch_s = SWITCH_S
        self._callers = 0
        self._disk_ns = 0
        """Smoothed time of syncs in the loop."""
        self._in_thread_since = 0
        """Groups synced in a thread since the last in the loop."""
        self.healthy = True
        """False from a commit that failed until one works again."""
        self.trouble = ""
        self.stats = WriterStats()

    async def count(self, events: Sequence[UsageEvent]) -> Sequence[int]:
        """Count ``events`` durably; see ``Counter.count``."""
        if not events:
            return ()
        stats = self.stats
        if stats.waiting + len(events) > self._bound or self._stopping or self._task is None:
            stats.overloads += 1
            raise OverloadedError("too many events wait for their commit")
        asked = _Asked(events, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        stats.waiting += len(events)
        if self._wake is not None and len(self._waiting) >= self._wake_at:
            self._wake_up()
        return await asked.answer

    def _wake_up(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)

    def start(self) -> None:
        """Begin to write; the loop must run."""
        ensure(self._task is None, "a writer starts once")
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switch_s, SWITCH_S))
        self._task = asyncio.get_running_loop().create_task(self._run(), name="writer")

    async def stop(self) -> None:
        """Write what waits, then end; what comes meanwhile is refused as overload."""
        self._stopping = True
        self._wake_up()
        if self._task is not None:
            await self._task
            sys.setswitchinterval(self._switch_s)

    # ---- gathering -----------------------------------------------------------------------------

    async def _sleep_until(self, callers: int, seconds: float | None) -> None:
        """Sleep until so many callers wait, or ``seconds`` are over."""
        if len(self._waiting) >= callers or self._stopping:
            return
        loop = asyncio.get_running_loop()
        self._wake, self._wake_at = loop.create_future(), callers
        wake = self._wake
        timer = None if seconds is None else loop.call_later(seconds, self._wake_up)
        try:
            await wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()

    async def _gather(self) -> list[_Asked]:
        """Wait for a group and take it; empty when there is none and none will come."""
        await self._sleep_until(1, None)
        # One turn of the loop: what the sockets already hold joins.
        await asyncio.sleep(0)
        target = self._callers * _BACK_NUMERATOR // _BACK_DENOMINATOR
        if target >= (MANY_CALLERS if self._is_quick() else SOME_CALLERS):
            for _ in range(_TURNS_MAX):
                before = len(self._waiting)
                if before >= target or self._stopping:
                    break
                await self._sleep_until(target, _TURN_S)
                if len(self._waiting) == before:
                    break
        return self._take()

    def _take(self) -> list[_Asked]:
        group: list[_Asked] = []
        events = 0
        for asked in self._waiting:
            if group and events + len(asked.events) > GROUP_EVENTS:
                break
            group.append(asked)
            events += len(asked.events)
        del self._waiting[: len(group)]
        # These will be back; and those that did not fit, or come while the commit runs.
        self._callers = max(len(group) + len(self._waiting), self._callers * 7 // 8)
        return group

    # ---- writing -------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            group = await self._gather()
            if group:
                await self._write(group)
            elif self._stopping:
                return

    async def _write(self, group: list[_Asked]) -> None:
        events = [one for asked in group for one in asked.events]
        try:
            answers = await self._commit(events)
        except StoreTroubleError as error:
            self._fail(group, error)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._fail(group, StoreTroubleError(f"{type(error).__name__}: {error}"))
        else:
            self.healthy, self.trouble = True, ""
            stats = self.stats
            stats.groups += 1
            stats.events += len(events)
            stats.conflicts += len(events) - answers.count(0)
            begin = 0
            for asked in group:
                end = begin + len(asked.events)
                if not asked.answer.done():
                    asked.answer.set_result(answers[begin:end])
                begin = end
        self.stats.waiting -= len(events)

    def _fail(self, group: list[_Asked], error: StoreTroubleError) -> None:
        self.healthy, self.trouble = False, str(error)
        self.stats.troubles += 1
        for asked in group:
            if not asked.answer.done():
                asked.answer.set_exception(StoreTroubleError(str(error)))

    async def _commit(self, events: list[UsageEvent]) -> list[int]:
        stats, store = self.stats, self._store
        now_us = self._clock.now_us()
        began = time.perf_counter_ns()
        if store.remote:
            # Each of its statements would hold the loop up.
            answers = await _in_thread(lambda: store.stage(events, now_us))
        else:
            answers = store.stage(events, now_us)
        staged = time.perf_counter_ns()
        if not store.remote and self._is_short():
            store.sync()
            synced = time.perf_counter_ns()
            self._disk_ns += ((synced - staged) - self._disk_ns) >> _EWMA_SHIFT
            self._in_thread_since = 0
        else:
            await _in_thread(store.sync)
            synced = time.perf_counter_ns()
            self._in_thread_since += 1
        stats.stage_ns += ((staged - began) - stats.stage_ns) >> _EWMA_SHIFT
        stats.sync_ns += ((synced - staged) - stats.sync_ns) >> _EWMA_SHIFT
        return answers

    def _is_quick(self) -> bool:
        return self._disk_ns < INLINE_NS and not self._store.remote

    def _is_short(self) -> bool:
        """Return whether this sync is to run in the loop."""
        if self._disk_ns < INLINE_NS:
            return True
        return self._in_thread_since >= PROBE_EVERY and self.stats.sync_ns < PROBE_BELOW_NS


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Do ``work`` in a thread; a cancelled writer still waits until the disk has answered."""
    thread = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        with suppress(Exception):
            await thread
        raise
