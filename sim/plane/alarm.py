"""SimPy events at a named place in the order of one microsecond.

Owns: the total order of simultaneous events of the reference plane. SimPy orders its queue by (time, priority,
sequence); the priority here is one integer that says (line, message, attempt), so a tie never depends on
which event was scheduled first. A line's timers come first, then tries of its older messages by age, then
the message it creates at this very instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import simpy

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
    """Return the place of a later try; ``age_us`` is the message's creation since the run's start."""
    return (
        (line_rank << LINE_SHIFT)
        | (age_us << _CREATED_SHIFT)
        | (source << _SOURCE_SHIFT)
        | ((number & _NUMBER_MASK) << _NUMBER_SHIFT)
        | (attempt + 8)
    )


class Alarm(simpy.Event):
    """An event that fires at a given instant and may be set again after it has fired."""

    def __init__(self, env: simpy.Environment, action: Callable[[simpy.Event], None] | None = None) -> None:
        """Call ``action`` when it fires (None: a process waits for it)."""
        self.env = env
        self.callbacks: Any = None
        self._action = action
        self._ok = True
        self._value: Any = None
        self._defused = False

    def set(self, at_us: int, order: int, value: object = None) -> Alarm:
        """Fire at ``at_us``, in the place ``order``, carrying ``value``."""
        self.callbacks = [] if self._action is None else [self._action]
        self._value = value
        self.env.schedule(self, order, at_us - self.env.now)  # type: ignore[arg-type]
        return self
