"""Latencies in µs, kept without loss on the way and merged exactly over processes.

Owns: the one kind of histogram of loads (HdrHistogram, 1 µs to 1 h, 3 digits). Does not own: what
is measured. Values are recorded in one go at a load's end, so that recording costs the generator
nothing while it sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
import numpy as np
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

HIGHEST_US = 3_600_000_000
_DIGITS = 3
_EXACT_BITS = 11
"""Values of fewer bits have a bucket each (3 digits)."""
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


class Spread(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A distribution in figures, µs; all 0 where nothing was measured."""

    count: int
    p50: int
    p90: int
    p95: int
    p99: int
    p99_9: int
    max: int


class Histogram:
    """One distribution of µs."""

    def __init__(self, encoded: str = "") -> None:
        """Begin empty, or with what ``encoded`` (from ``text``) holds."""
        self._inner: Any = HdrHistogram(1, HIGHEST_US, _DIGITS)
        if encoded:
            self._inner.decode_and_add(encoded.encode())

    def record(self, values_us: Iterable[int]) -> None:
        """Add every value; below 1 counts as 1, above an hour as an hour."""
        values = np.fromiter(values_us, np.int64).clip(1, HIGHEST_US)
        # What shares a bucket is recorded at once.
        shift = np.maximum(0, np.frexp(values.astype(np.float64))[1] - _EXACT_BITS)
        found, counts = np.unique(values >> shift << shift, return_counts=True)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            self._inner.record_value(value, count)

    def add(self, other: Histogram) -> None:
        """Add everything of ``other``, exactly."""
        self._inner.decode_and_add(other.text().encode())

    def text(self) -> str:
        """Return it in HdrHistogram's own compressed form (V2, base64)."""
        return cast("bytes", self._inner.encode()).decode()

    @property
    def count(self) -> int:
        """How many values."""
        return int(self._inner.get_total_count())

    def percentile(self, percent: float) -> int:
        """Return the ``percent``-th percentile in µs: its bucket's upper edge; 0: none."""
        return int(self._inner.get_value_at_percentile(percent)) if self.count else 0

    def spread(self) -> Spread:
        """Return the figures people read."""
        found = [self.percentile(percent) for percent in PERCENTILES]
        highest = int(self._inner.get_max_value()) if self.count else 0
        p50, p90, p95, p99, p99_9 = found
        return Spread(
            count=self.count, p50=p50, p90=p90, p95=p95, p99=p99, p99_9=p99_9, max=highest
        )
