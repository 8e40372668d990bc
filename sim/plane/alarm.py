"""SimPy events at a named place in the order of one microsecond.

Owns: the total order of simultaneous events of the reference plane. SimPy orders its queue by
(time, priority, sequence); the priority here is one integer that says (line, message, attempt), so
a tie never depends on which event was scheduled first. A line's timers come first, then tries of
its older messages by age, then the message it creates at this very instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import simpy
from simpy.events import EventPriority

if TYPE_CHECKING:
    from collections.abc import Callable

LINE_SHIFT = 88
_CREATED_SHIFT = 40
_SOURCE_SHIFT = 32
_NUMBER_SHIFT = 20
_NUMBER_MASK = (1 << 12) - 1
_FIRST_TRY = 1 << 87

SESSION_END, NOTICE, ATTACH, RELEASE = 2, 3, 4, 5
"""Timers of a line in their order; 0 and 1 are SimPy's own priorities."""


def first_try_order(line_rank: int) -> int:
    """Return the place of a line's newest message."""
    return (line_rank << LINE_SHIFT) | _FIRST_TRY


def retry_order(line_rank: int, age_us: int, source: int, number: int, attempt: int) -> int:
    """Return the place of a later try; ``age_us``: from the run's start to its creation."""
    return (
        (line_rank << LINE_SHIFT)
        | (age_us << _CREATED_SHIFT)
        | (source << _SOURCE_SHIFT)
        | ((number & _NUMBER_MASK) << _NUMBER_SHIFT)
        | (attempt + 8)
    )


class Clock(simpy.Environment):
    """A SimPy environment whose time is whole microseconds."""

    _now: int

    def __init__(self, now_us: int) -> None:
        """Begin at ``now_us``."""
        super().__init__(initial_time=now_us)

    @property
    def now(self) -> int:
        """The simulated instant (``SimUs``)."""
        return self._now


class Alarm(simpy.Event):
    """An event that fires at a given instant and may be set again after it has fired."""

    env: Clock

    def __init__(self, clock: Clock, action: Callable[[Any], None] | None = None) -> None:
        """Call ``action`` with this alarm when it fires (None: a process waits for it)."""
        self.env = clock
        self.callbacks: Any = None
        self.note: Any = None
        """What the action wants to know."""
        self._action = action
        self._ok = True
        self._value: Any = None
        self._defused = False

    def set(self, at_us: int, order: int, note: object = None) -> Alarm:
        """Fire at ``at_us``, in the place ``order`` of that microsecond."""
        self.callbacks = [] if self._action is None else [self._action]
        self.note = note
        self.env.schedule(self, EventPriority(order), at_us - self.env.now)
        return self
