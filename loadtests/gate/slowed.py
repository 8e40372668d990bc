"""``python -m loadtests.gate.slowed serve …``: the service, slowed on purpose.

Owns: a fault to study, with which the gate's honesty is shown; no shipped code knows of it. With
``VPG_GATE_SLOWED_PERCENT=10`` in the environment the store, before and after it takes a group of
events in, spins away 10 % of the processor time that the whole process (event loop, parser, store)
has worked since it last did.
"""

from __future__ import annotations

import os
import runpy
import time
from typing import TYPE_CHECKING, Final

from vpg.service.store.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.rating.events import UsageEvent

PERCENT: Final = "VPG_GATE_SLOWED_PERCENT"
_HUNDRED: Final = 100


class Slowness:
    """What the process worked, and what of it was spun away."""

    def __init__(self, percent: int) -> None:
        """Owe nothing: what the start takes is not slowed."""
        self._percent = percent
        self._since_ns = 0

    def spin(self) -> None:
        """Spin ``percent`` of what was worked since the last time."""
        now = time.process_time_ns()
        work = now - self._since_ns if self._since_ns else 0
        until = now + work * self._percent // _HUNDRED
        while now < until:
            now = time.process_time_ns()
        self._since_ns = now


def install(percent: int) -> None:
    """Slow every group of events of this process."""
    slowness, stage = Slowness(percent), SqlStore.stage

    def slowed(self: SqlStore, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        slowness.spin()
        answers = stage(self, events, now_us)
        slowness.spin()
        return answers

    SqlStore.stage = slowed  # type: ignore[method-assign]


def main() -> None:
    """Slow down, then be ``vpg``."""
    percent = int(os.environ.get(PERCENT, "0"))
    if percent:
        install(percent)
    runpy.run_module("vpg.cli.main", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
