"""Intervals of paired rounds: a bootstrap over restarts, then over the rounds of each.

Owns: the estimate, its interval, and the draws behind it. Does not own: which figures, or what an
interval means (``decision.py``). Pure: the same rounds, seed and stream give the same interval on
every machine, as the draws are words of a counter-based generator (Philox), nothing global.

The estimate is the mean over restarts of the median over rounds: the median lets single disturbed
rounds pass, the mean lets each start of the processes weigh the same. Values are natural logarithms
of ratios, so that 0 is no change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vpg.errors import ensure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RESAMPLES: Final = 2_000
LEVEL: Final = 0.99
"""Confidence of an interval: high, as a gate looks at several figures at once."""
_TWO: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and where it may truly be."""

    estimate: float
    low: float
    high: float


class Draws:
    """Places drawn from one stream of one seed, in order."""

    def __init__(self, seed: int, stream: int) -> None:
        """Begin the stream; two streams of a seed share nothing."""
        self._words = np.random.Philox(key=np.array([seed, stream], np.uint64))

    def places(self, among: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Return places from 0 to ``among`` - 1, equally likely (but for 1 in 2^50)."""
        words = self._words.random_raw(int(np.prod(shape)))
        return (words % np.uint64(among)).astype(np.int64).reshape(shape)

    def order(self, count: int) -> list[int]:
        """Return the places 0 to ``count`` - 1 shuffled."""
        keys = self._words.random_raw(count)
        return [int(place) for place in np.argsort(keys, kind="stable")]


def matrix(values: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return restarts × rounds; raises ``EnsureError`` unless each has as many rounds."""
    found = np.asarray(values, dtype=np.float64)
    ensure(found.ndim == _TWO and found.size > 0, "every restart has the same rounds, one or more")
    return found


def estimate(values: NDArray[np.float64]) -> float:
    """Return the mean over restarts of the median over rounds."""
    return float(_medians(values).mean(axis=-1))


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the medians along the last axis; sorting few values is quicker than NumPy's own."""
    ranked, count = np.sort(values, axis=-1), values.shape[-1]
    middle: NDArray[np.float64] = (ranked[..., (count - 1) // 2] + ranked[..., count // 2]) / 2
    return middle


def resampled(values: NDArray[np.float64], draws: Draws, count: int) -> NDArray[np.float64]:
    """Return the estimates of ``count`` resamples: restarts first, then rounds of each."""
    restarts, rounds = values.shape
    chosen = draws.places(restarts, (count, restarts))
    inside = draws.places(rounds, (count, restarts, rounds))
    means: NDArray[np.float64] = _medians(values[chosen[:, :, None], inside]).mean(axis=1)
    return means


def paired(values: Sequence[Sequence[float]], *, seed: int, stream: int) -> Interval:
    """Return the interval of differences within rounds, restart by restart."""
    found = matrix(values)
    return _interval(estimate(found), resampled(found, Draws(seed, stream), RESAMPLES))


def unpaired(
    head: Sequence[Sequence[float]],
    base: Sequence[Sequence[float]],
    *,
    seed: int,
    stream: int,
) -> Interval:
    """Return the interval of head - base where the two ran in different jobs."""
    ours, theirs = matrix(head), matrix(base)
    draws = Draws(seed, stream)
    spread = resampled(ours, draws, RESAMPLES) - resampled(theirs, draws, RESAMPLES)
    return _interval(estimate(ours) - estimate(theirs), spread)


def _interval(centre: float, spread: NDArray[np.float64]) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(spread, [tail, 1 - tail])
    return Interval(estimate=centre, low=float(low), high=float(high))
