"""Rating months as the store needs them: when figures are final, and how long keys are kept.

Owns: the arrival period of late events, and the life of keys. Does not own: business days
(``vpg.billing.calendar``). Times: ``SimUs``; a month is named by its first instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpg.billing.calendar import invoice_dates
from vpg.timebase import DAY_US, month_name, month_start, next_month_start

if TYPE_CHECKING:
    from vpg.billing.calendar import BusinessCalendar

KEYS_KEPT_US: Final = 35 * DAY_US
"""Keys outlive the billing month of their event by so long."""


def keys_kept_until_us(at_us: int) -> int:
    """Return until when the key of an event at ``at_us`` is kept."""
    return next_month_start(at_us) + KEYS_KEPT_US


def oldest_us(now_us: int) -> int:
    """Return the start of the oldest month whose keys are kept at ``now_us``."""
    month_us = month_start(now_us)
    while keys_kept_until_us(month_start(month_us - 1)) > now_us:
        month_us = month_start(month_us - 1)
    return month_us


class Months:
    """When the figures of each rating month become final, and the arrival period of late ones."""

    def __init__(self, calendar: BusinessCalendar) -> None:
        """Follow ``calendar``."""
        self.calendar = calendar
        self._final: dict[int, int] = {}
        self._last = (1, 0, 0)
        """Begin, end and final instant of the month last asked for."""

    def final_us(self, month_us: int) -> int:
        """Return the instant from which the figures of the month beginning there are final."""
        final = self._final.get(month_us)
        if final is None:
            final = invoice_dates(month_name(month_us), self.calendar).figures_final_us
            self._final[month_us] = final
        return final

    def late_of(self, at_us: int, arrived_us: int) -> int:
        """Return 0 for what came in time, else the first month that was not yet final."""
        begin_us, end_us, final_us = self._last
        if begin_us <= at_us < end_us and arrived_us < final_us:
            return 0
        month_us: int = month_start(at_us)
        self._last = (month_us, next_month_start(month_us), self.final_us(month_us))
        if arrived_us < self.final_us(month_us):
            return 0
        while arrived_us >= self.final_us(month_us):
            month_us = next_month_start(month_us)
        return month_us
