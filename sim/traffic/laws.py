"""Random laws in integers: from 64-bit words to times, counts and bytes, equal on every platform.

Owns: the laws. Does not own: where words come from (``draws``). No float decides a value: tables
are made with ``decimal`` (correctly rounded everywhere) and laws with whole parameters are made
exactly.
"""

from __future__ import annotations

import functools
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

import numpy as np

from sim.traffic.draws import U64, mulhi

if TYPE_CHECKING:
    import numpy.typing as npt

_WORD = 1 << 64
_DIGITS = 60
LOG_STEPS = 4096
"""Points of the logarithm table; between them the law is linear (error below 1e-8 of the mean)."""
_SCALE_BITS = 62


def below(word: int, bound: int) -> int:
    """Return ``word`` (64 bits) as a uniform integer in [0, bound); bias at most bound / 2**64."""
    return (word * bound) >> 64


def below_many(words: U64, bound: int | U64) -> npt.NDArray[np.int64]:
    """Return ``below`` for many words; ``bound`` one number or one a word, below 2**63."""
    limit = np.uint64(bound) if isinstance(bound, int) else bound
    return mulhi(words, limit).astype(np.int64)


def beta34(words: tuple[int, ...], span: int) -> int:
    """Return a Beta(3, 4) value scaled to [0, span) from six words.

    The third smallest of six uniforms has exactly this law. Source: TR 37.868, traffic model 2.
    """
    return below(sorted(words[:6])[2], span)


def beta34_many(words: U64, span: int) -> npt.NDArray[np.int64]:
    """Return ``beta34`` for rows of six words, shape (n, 6)."""
    return below_many(np.sort(words, axis=1)[:, 2], span)


@functools.cache
def log_table() -> tuple[int, ...]:
    """Return -log2(1 - i/(2n)) × 2**62 for i = 0 … n: the exponential law between two halvings."""
    with localcontext() as context:
        context.prec = _DIGITS
        two = Decimal(2)
        return tuple(
            int(-((1 - Decimal(i) / (2 * LOG_STEPS)).ln() / two.ln()) * (1 << _SCALE_BITS))
            for i in range(LOG_STEPS + 1)
        )


_LN2_BITS = 62


@functools.cache
def ln2_scaled() -> int:
    """Return ln 2 × 2**62."""
    with localcontext() as context:
        context.prec = _DIGITS
        return int(Decimal(2).ln() * (1 << _LN2_BITS))


def exponential(halvings: int, fraction: int, mean: int) -> int:
    """Return an exponential value with ``mean`` (integer, same unit) from two words.

    The number of leading zeros of the first word says how often the tail halved; the second places
    the value between two halvings.
    """
    whole = 64 - halvings.bit_length()
    scaled = fraction * LOG_STEPS
    index, rest = scaled >> 64, scaled & (_WORD - 1)
    table = log_table()
    low, high = table[index], table[index + 1]
    bits = (whole << _SCALE_BITS) + low + (((high - low) * rest) >> 64)
    return (bits * ln2_scaled() * mean) >> (_SCALE_BITS + _LN2_BITS)


@functools.lru_cache(maxsize=4096)
def poisson_thresholds(micro_mean: int) -> U64:
    """Return T with: a word w means the count ``searchsorted(T, w, side="right")``.

    ``micro_mean`` is the mean × 1,000,000. T[k] = floor(2**64 × P(count <= k)), up to where it is
    2**64 - 1.
    """
    if micro_mean == 0:
        return np.array([_WORD - 1], np.uint64)
    with localcontext() as context:
        context.prec = _DIGITS
        mean = Decimal(micro_mean).scaleb(-6)
        term = (-mean).exp()
        total = term
        cumulated: list[int] = []
        count = 0
        while True:
            threshold = int(total * _WORD)
            cumulated.append(min(threshold, _WORD - 1))
            if threshold >= _WORD - 1 or (count > mean and term * _WORD < Decimal("0.001")):
                return np.array(cumulated, np.uint64)
            count += 1
            term = term * mean / count
            total += term


def poisson_many(words: U64, micro_mean: int) -> npt.NDArray[np.int64]:
    """Return one Poisson count a word with mean ``micro_mean`` / 1,000,000."""
    return np.searchsorted(poisson_thresholds(micro_mean), words, side="right").astype(np.int64)


@functools.lru_cache(maxsize=256)
def pareto_thresholds(low: int, high: int, shape_milli: int) -> U64:
    """Return T with: a word w means ``low + searchsorted(T, w, side="right")`` bytes.

    P(size <= x) of the whole number of bytes is that of a Pareto law with minimum ``low`` rounded
    down, with everything above ``high`` put at ``high`` (TR 45.820, annex E.2: cut off at the
    maximum).
    """
    with localcontext() as context:
        context.prec = _DIGITS
        shape = Decimal(shape_milli).scaleb(-3)
        values = (
            int((1 - ((Decimal(low) / (size + 1)).ln() * shape).exp()) * _WORD)
            for size in range(low, high)
        )
        return np.array([min(value, _WORD - 1) for value in values], np.uint64)


@functools.lru_cache(maxsize=256)
def weight_thresholds(weights: tuple[int, ...]) -> U64:
    """Return T with: a word w chooses item ``searchsorted(T, w, side="right")`` by weight."""
    total = sum(weights)
    running = 0
    cuts = []
    for weight in weights[:-1]:
        running += weight
        cuts.append(min(running * _WORD // total, _WORD - 1))
    return np.array(cuts, np.uint64)


def choose_many(words: U64, weights: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return one index into ``weights`` a word, each as likely as its weight."""
    return np.searchsorted(weight_thresholds(weights), words, side="right").astype(np.int64)
