"""What a run of a textbook system says: figures of its hourly rows and delay histograms.

Owns: reading a result; rows before ``from_us`` are left out, so that the start is forgotten. Does
not own: what the figures should be (``sim.theory``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.rating.histogram import upper_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.results import RunResult

    Measure = Callable[[RunResult, int], float]

_MILLI = 1_000


def total(result: RunResult, column: str, from_us: int = 0) -> int:
    """Return the sum of a column of the hourly table."""
    return sum(getattr(row, column) for row in result.rows if row.hour_start_us >= from_us)


def delays(result: RunResult, from_us: int = 0) -> dict[int, int]:
    """Return the delay histograms of the run as one (bucket → messages)."""
    merged: dict[int, int] = {}
    for (_, hour_start_us, _), counts in result.delays.items():
        if hour_start_us >= from_us:
            for bucket, count in counts.items():
                merged[bucket] = merged.get(bucket, 0) + count
    return merged


def mean_delay_us(counts: dict[int, int]) -> float:
    """Return the mean of a delay histogram (µs), each bucket but the exact 0 by its middle.

    A bucket is 0.8 % wide, and the middle is right where delays are spread evenly in it.
    """
    whole = sum((upper_us(b - 1) + 1 + upper_us(b)) / 2 * n for b, n in counts.items() if b)
    return whole / sum(counts.values())


# ---- figures -------------------------------------------------------------------------------------


def mean_wait_ms(result: RunResult, from_us: int) -> float:
    """Return the mean wait in the limiter's queue."""
    return mean_delay_us(delays(result, from_us)) / _MILLI


def waiting_percent(result: RunResult, from_us: int) -> float:
    """Return the share of delivered messages that waited at all."""
    counts = delays(result, from_us)
    return 100 * (1 - counts.get(0, 0) / sum(counts.values()))


def throttled_percent(result: RunResult, from_us: int) -> float:
    """Return the share of attempts that the limiter refused."""
    attempts = total(result, "attempts_beam", from_us)
    return 100 * total(result, "throttled_beam", from_us) / attempts


def refused_percent(result: RunResult, from_us: int) -> float:
    """Return the share of attach attempts that the line cap refused."""
    attempts = total(result, "attach_attempts", from_us)
    return 100 * total(result, "sessions_refused", from_us) / attempts


def throttled_count(result: RunResult, from_us: int) -> float:
    """Return how many attempts the limiter refused."""
    return total(result, "throttled_beam", from_us)


def open_count(result: RunResult, from_us: int) -> float:
    """Return how many messages were open at the end."""
    return [row.pending_end for row in result.rows if row.hour_start_us >= from_us][-1]
