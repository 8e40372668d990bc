"""Service time as a client knows it: an offset and a rate, measured over the API.

Owns: the conversion between this machine's steady clock and service time. Does not own: asking
(``loadtests.fleet.target``). Times: ``*_us`` is service time (``SimUs``), ``*_s`` this machine's.
"""

from __future__ import annotations

import time

from vpg.timebase import SECOND_US

_NS_PER_US = 1_000


class ServiceClock:
    """Service time from a steady clock of this machine, so that nothing sets it back."""

    def __init__(self, *, service_us: int, at_ns: int, scale: int) -> None:
        """Be at ``service_us`` when ``time.monotonic_ns()`` is ``at_ns``; run ``scale`` times."""
        self._service_us = service_us
        self._at_ns = at_ns
        self.scale = scale

    def now_us(self) -> int:
        """Return the present instant of service time."""
        gone_ns = time.monotonic_ns() - self._at_ns
        return self._service_us + gone_ns * self.scale // _NS_PER_US

    def wall_s(self, duration_us: int) -> float:
        """Return how many seconds of this machine ``duration_us`` of service time takes."""
        return duration_us / SECOND_US / self.scale

    def least_wait_us(self, header_s: int) -> int:
        """Return the shortest wait (service time) that a ``Retry-After`` of ``header_s`` can mean.

        The header counts whole seconds of the machine, rounded up; waits are whole seconds of
        service time. On a service in real time it is just ``header_s``.
        """
        return ((max(1, header_s) - 1) * self.scale + 1) * SECOND_US
