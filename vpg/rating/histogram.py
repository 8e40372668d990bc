"""The one delay histogram that simulator, service and reports share: integers, mergeable.

Buckets grow with the value: exact below 256 µs, then 128 to a doubling (0.8 % wide). A value counts
in the bucket ``bucket_of(value)``; a percentile is the upper edge of its nearest rank's bucket.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EXACT_BITS = 8
"""Delays of fewer bits have a bucket each."""
_HALF = 1 << (EXACT_BITS - 1)


def bucket_of(delay_us: int) -> int:
    """Return the bucket of ``delay_us`` (µs, ≥ 0).

    >>> [bucket_of(v) for v in (0, 255, 256, 257, 258)]
    [0, 255, 256, 256, 257]
    """
    shift = delay_us.bit_length() - EXACT_BITS
    if shift <= 0:
        return delay_us
    return shift * _HALF + (delay_us >> shift)


def upper_us(bucket: int) -> int:
    """Return the largest delay (µs) that counts in ``bucket``.

    >>> [upper_us(b) for b in (0, 255, 256, 257)]
    [0, 255, 257, 259]
    """
    if bucket < 2 * _HALF:
        return bucket
    shift = bucket // _HALF - 1
    return ((bucket - shift * _HALF + 1) << shift) - 1


def percentile_us(counts: Mapping[int, int], percent: int) -> int:
    """Return the ``percent``-th percentile (1 … 100) in µs by nearest rank; 0 when nothing counted.

    >>> percentile_us({0: 99, 200: 1}, 99), percentile_us({0: 99, 200: 1}, 100)
    (0, 200)
    """
    total = sum(counts.values())
    if not total:
        return 0
    rank = -(-total * percent // 100)
    buckets = sorted(counts)
    seen = itertools.accumulate(counts[bucket] for bucket in buckets)
    return upper_us(buckets[next(n for n, up_to in enumerate(seen) if up_to >= rank)])
