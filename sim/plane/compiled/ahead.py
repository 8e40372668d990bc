"""A long steady stretch in segments of time, computed at once and spliced: nothing changes by it.

Ticks are placed without history, so a segment can be run before the one before it is done, from
the likeliest state: a full bucket and nobody waiting. Then, from left to right: where the true
state at the cut is that one, the segment stands. Where it is not, its first hour is run again from
the true state; if that ends as the segment's own first hour did, the rest stands too. Else the
segment is run again. Right by construction; only slower where the limiter never recovers, and then
not tried again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sim.plane.compiled import rows
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from sim.plane.compiled.jit import Ints
    from sim.plane.compiled.rows import Taken
    from sim.plane.compiled.steady import Standing, Steady
    from vpg.results import MinuteRow

SEGMENT_HOURS: Final = 12
"""Long enough that cuts cost nothing, short enough that progress shows and Ctrl-C is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourAhead:
    """One clock hour of one VPG, computed before it is asked for."""

    taken: Taken
    minutes: list[MinuteRow]


@dataclass(slots=True, kw_only=True)
class _Segment:
    steady: Steady
    first: HourAhead
    after_first: Standing | None
    rest: list[HourAhead]
    active_first: Ints
    """When each line was active last, as far as the first hour says; the rest: ``steady``."""


def _hour(steady: Steady) -> HourAhead:
    steady.advance(steady.now_us + HOUR_US)
    taken = rows.take_row(steady.memory)
    return HourAhead(taken=taken, minutes=rows.take_minutes(steady.memory, steady.vpg_id))


def _run(steady: Steady, hours: int, compared: bool) -> _Segment:
    first = _hour(steady)
    after_first = steady.standing() if compared else None
    active_first = steady.take_activity()
    return _Segment(
        steady=steady,
        first=first,
        after_first=after_first,
        rest=[_hour(steady) for _ in range(hours - 1)],
        active_first=active_first,
    )


class Ahead:
    """Hours computed ahead of one VPG; asked for one by one."""

    def __init__(self, *, crew: Executor | None, segments: int) -> None:
        """Compute ``segments`` at once on ``crew``; one needs none, and is only a long breath."""
        self._crew = crew
        self.segments = segments
        self._hours: deque[HourAhead] = deque()
        self._active: list[Ints] = []
        self.worth_it = True
        self.spliced = 0
        self.rerun = 0

    def __len__(self) -> int:
        """Return how many hours are there to be asked for."""
        return len(self._hours)

    def take(self) -> HourAhead:
        """Return the next hour."""
        return self._hours.popleft()

    def taken(self) -> list[Taken]:
        """Return the rows of all hours still to be asked for."""
        return [hour.taken for hour in self._hours]

    def compute(self, steady: Steady, hours: int) -> Steady:
        """Compute ``hours`` from now on; return the stretch as it stands after them."""
        lengths = _lengths(hours, self.segments)
        begins_us = steady.now_us + HOUR_US * np.cumsum([0, *lengths[:-1]])
        starts = [steady, *(steady.idle_at(int(at_us)) for at_us in begins_us[1:])]
        spread = map if self._crew is None or len(starts) == 1 else self._crew.map
        done = list(spread(_run, starts, lengths, [i > 0 for i in range(len(starts))]))
        self._active = []
        self._keep_segment(done[0])
        last = done[0].steady
        for segment, length in zip(done[1:], lengths[1:], strict=True):
            last = self._splice(last, segment, length)
        last.know_activity(self._active)
        return last

    def _splice(self, before: Steady, segment: _Segment, length: int) -> Steady:
        if before.is_idle():
            self._keep_segment(segment)
            return segment.steady
        again = _run(before, 1, compared=True)
        self._hours.append(again.first)
        self._active.append(again.active_first)
        if again.after_first == segment.after_first:
            self.spliced += 1
            self._hours += segment.rest
            self._active.append(segment.steady.take_activity())
            return segment.steady
        self.rerun += 1
        self.worth_it = False
        self._hours += [_hour(before) for _ in range(length - 1)]
        self._active.append(before.take_activity())
        return before

    def _keep_segment(self, segment: _Segment) -> None:
        """Keep a segment as it was computed; what others say of discarded hours never counts."""
        self._hours += [segment.first, *segment.rest]
        self._active += [segment.active_first, segment.steady.take_activity()]


def _lengths(hours: int, segments: int) -> list[int]:
    """Return the lengths of at most ``segments`` segments that add up to ``hours``."""
    each, more = divmod(hours, segments)
    return [length for i in range(segments) if (length := each + (i < more))]
