"""What several simulated values say together: intervals, the cut of a warm-up, when to stop.

Owns: confidence intervals over independent values (Student) and over one long run (batch means),
warm-up detection (MSER-5), the rule that ends a sequence of replications. Does not own: running
them (``replicate``). Units: those of the values; floats are right here, because these are estimates
and no count, time or yen is made from them.

SciPy is imported where a quantile is needed: only commands that ask for an interval pay for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.errors import ensure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpg.replications import FigureName

CONFIDENCE = 0.95
REPLICATIONS_MIN = 5
"""Fewer values say too little about their own spread to stop on."""
_MSER_BATCH = 5
_REST_MIN = 5
_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where the mean of a random value lies, as far as ``n`` values of it can tell."""

    n: int
    mean: float
    half_width: float | None
    """Mean ± this covers the true mean in 95 of 100 such studies; None: one value cannot tell."""
    smallest: float
    largest: float


class Moments:
    """Mean and spread of values that come one by one (Welford's recurrence).

    Source: B. P. Welford, "Note on a Method for Calculating Corrected Sums of Squares and
    Products", Technometrics 4 (1962).
    """

    __slots__ = ("_largest", "_mean", "_n", "_smallest", "squares")

    def __init__(self, values: Iterable[float] = ()) -> None:
        """Begin with ``values``."""
        self._n = 0
        self._mean = 0.0
        self.squares = 0.0
        """Sum of the squared distances from the mean."""
        self._smallest = math.inf
        self._largest = -math.inf
        for value in values:
            self.add(value)

    def add(self, value: float) -> None:
        """Take one more value."""
        self._n += 1
        before = value - self._mean
        self._mean += before / self._n
        self.squares += before * (value - self._mean)
        self._smallest = min(self._smallest, value)
        self._largest = max(self._largest, value)

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Return the Student interval of the mean of the values so far (at least one).

        Exact for independent normal values; close to it for means and shares of long replications.
        """
        ensure(self._n > 0, "an interval is asked of at least one value")
        half_width = None
        if self._n >= _PAIR:
            error = math.sqrt(self.squares / (self._n - 1) / self._n)
            half_width = t_quantile((1 + confidence) / 2, self._n - 1) * error
        return Interval(
            n=self._n,
            mean=self._mean,
            half_width=half_width,
            smallest=self._smallest,
            largest=self._largest,
        )


def t_quantile(probability: float, freedom: int) -> float:
    """Return what a Student t value of ``freedom`` degrees stays below with ``probability``."""
    from scipy.special import stdtrit  # noqa: PLC0415 - see the module's docstring

    return float(stdtrit(freedom, probability))


def mean_interval(values: Iterable[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the Student interval of the mean of independent ``values`` (at least one).

    For two variants under common random numbers, give the differences, replication by replication.
    """
    return Moments(values).interval(confidence)


# ---- one long run --------------------------------------------------------------------------------


def batch_means(values: Sequence[float], batches: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of the long-run mean of a stationary, correlated series.

    The series is cut into ``batches`` (2 or more) equal pieces whose means count as independent:
    true once a piece is much longer than the series remembers. What does not fit in is left out
    at the front. Source: A. M. Law, Simulation Modeling and Analysis (5th ed., 2015), section 9.5.
    """
    ensure(_PAIR <= batches <= len(values), "batches are at least two and hold a value each")
    length = len(values) // batches
    return mean_interval(_means(values[len(values) - batches * length :], length), confidence)


def mser5(values: Sequence[float]) -> int | None:
    """Return how many of the first ``values`` belong to the warm-up; None: it may not be over.

    MSER-5: of all cuts at whole batches of five values, the one that leaves the smallest estimated
    variance of the mean of the rest. A cut in the second half says that the run is too short. A
    rest of fewer than five batches is never chosen: so few agree by luck.
    Source: K. P. White, M. J. Cobb, S. C. Spratt, "A comparison of five steady-state truncation
    heuristics for simulation", Winter Simulation Conference 2000.
    """
    means = _means(values[: len(values) // _MSER_BATCH * _MSER_BATCH], _MSER_BATCH)
    if len(means) < 2 * _REST_MIN:
        return None
    rest = Moments()
    best, best_cut = math.inf, 0
    # From the back, so that each rest is the one before and one more batch.
    for cut in range(len(means) - 1, -1, -1):
        rest.add(means[cut])
        left = len(means) - cut
        score = rest.squares / left**2
        # Ties go to the cut that keeps more.
        if left >= _REST_MIN and score <= best:
            best, best_cut = score, cut
    return best_cut * _MSER_BATCH if 2 * best_cut <= len(means) else None


def _means(values: Sequence[float], length: int) -> list[float]:
    return [
        math.fsum(values[start : start + length]) / length
        for start in range(0, len(values), length)
    ]


# ---- when to stop --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """How narrow the interval of one figure has to be."""

    figure: FigureName
    half_width: float
    """In the unit of the figure (a share: part of 1), or a part of the mean when ``relative``."""
    relative: bool = False

    def reached(self, interval: Interval) -> bool:
        """Tell whether ``interval``, of the figure, is narrow enough and of enough values."""
        if interval.n < REPLICATIONS_MIN or interval.half_width is None:
            return False
        allowed = self.half_width * (abs(interval.mean) if self.relative else 1.0)
        return interval.half_width <= allowed
