"""The clock of this machine, read in one place: for names and manifests of run directories.

Owns: the reading. No result depends on it.
"""

from __future__ import annotations

import time

from vpg.timebase import WallUs


def wall_us() -> WallUs:
    """Return now, in µs since the Unix epoch."""
    return WallUs(time.time_ns() // 1_000)
