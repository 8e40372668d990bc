"""What a run hands over, whoever ran it: the simulator, or a load run against a service.

Owns: the values between a run and its readers (run directory, reports). Times: ``SimUs``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vpg.rating.hourly import HourlyRow

RowKey = tuple[str, int, int]
"""(vpg_id, hour_start_us, config_seq), as in the hourly table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteRow:
    """One UTC minute of one VPG with traffic at its limiter, or sessions changing.

    Counts are of the limited services (beam, funnel, funk). ``busiest_second_us`` is the first UTC
    second with the most attempts at the limiter, ``rate_peak_per_s`` their number.
    """

    vpg_id: str
    minute_start_us: int
    attempts: int
    accepted: int
    throttled: int
    busiest_second_us: int
    rate_peak_per_s: int
    attach_attempts: int
    sessions_refused: int
    lines_peak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlNote:
    """One thing the control plane did; ``kind`` is its name, ``details`` its figures as text."""

    at_us: int
    kind: str
    vpg_id: str = ""
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The whole outcome of a run."""

    rows: tuple[HourlyRow, ...]
    """Sorted by key; every hour in which a VPG existed."""
    delays: dict[RowKey, dict[int, int]]
    """Histogram (bucket → count) of each row with a delivered message."""
    minutes: tuple[MinuteRow, ...]
    notes: tuple[ControlNote, ...]
    status: Literal["complete", "partial"]
    ended_at_us: int
    """End of what was simulated (the scenario's end when complete)."""
    why_partial: str = ""
