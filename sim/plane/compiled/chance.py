"""The draws and laws of ``sim.traffic`` inside compiled code, equal to them bit for bit."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from scenarios.model import MILLION
from sim.plane.compiled.jit import Ints, inner, mulhi
from sim.plane.compiled.layout import (
    LOG_TABLE,
    POLICIES,
    POLICY_SIZE,
    Q_BEGIN,
    Q_CYCLE,
    Q_END,
    Q_JITTER_PPM,
    Q_RETRY_AFTER,
    Q_TRIES_MAX,
    STEP_COUNT,
    STEP_DELAY_US,
    STEPS,
)  # fmt: skip
from sim.traffic import draws, laws

Word: TypeAlias = Any
"""64 bits, unsigned; and tuples of four of them."""
_M0, _M1 = np.uint64(draws.M0), np.uint64(draws.M1)
_W0, _W1 = np.uint64(draws.W0), np.uint64(draws.W1)
_ROUNDS: Final = draws.ROUNDS
_LOG_STEPS: Final = np.uint64(laws.LOG_STEPS)
_LN2: Final = np.uint64(laws.ln2_scaled())


@inner
def block(key: int, line: int, first: int, where: int, message: int, attempt: int) -> Word:
    """Return the four words of one block of a place."""
    c0, c1 = np.uint64(first), np.uint64(where)
    c2, c3 = np.uint64(message), np.uint64(attempt)
    k0, k1 = np.uint64(key), np.uint64(line)
    for _ in range(_ROUNDS):
        high0, low0 = mulhi(_M0, c0), _M0 * c0
        high1, low1 = mulhi(_M1, c2), _M1 * c2
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 += _W0
        k1 += _W1
    return c0, c1, c2, c3


@inner
def words(key: int, line: int, where: int, message: int, attempt: int) -> Word:
    """Return the four words of a place (see ``sim.traffic.draws``)."""
    return block(key, line, 1, where, message, attempt)


@inner
def word_of(key: int, line: int, where: int, message: int, attempt: int, index: int) -> Word:
    """Return one of the four words of a place."""
    found = words(key, line, where, message, attempt)
    if index == 0:
        return found[0]
    if index == 1:
        return found[1]
    if index == 2:
        return found[2]
    return found[3]


@inner
def below(word: Word, bound: int) -> Word:
    """Return ``word`` as a uniform integer in [0, bound)."""
    return np.int64(mulhi(word, np.uint64(bound)))


@inner
def exponential(k: Ints, halvings: Word, fraction: Word, mean: int) -> Word:
    """Return ``laws.exponential`` with 64-bit limbs: (bits × ln 2 × mean) >> 124."""
    whole = np.uint64(0)
    left = halvings
    while whole < np.uint64(64) and not (left >> np.uint64(63)):
        left <<= np.uint64(1)
        whole += np.uint64(1)
    table = k[LOG_TABLE] + np.int64(mulhi(fraction, _LOG_STEPS))
    rest = fraction * _LOG_STEPS
    low, high = np.uint64(k[table]), np.uint64(k[table + 1])
    part = low + mulhi(high - low, rest)
    bits_low = part + (whole << np.uint64(62))
    bits_high = (whole >> np.uint64(2)) + (np.uint64(1) if bits_low < part else np.uint64(0))
    scale_low, scale_high = _LN2 * np.uint64(mean), mulhi(_LN2, np.uint64(mean))
    # (bits_high, bits_low) × (scale_high, scale_low), words 1 and 2 of the four.
    one_a, one_b = mulhi(bits_low, scale_low), bits_low * scale_high
    one_c = bits_high * scale_low
    one = one_a + one_b
    carry = np.uint64(1) if one < one_a else np.uint64(0)
    total = one + one_c
    if total < one:
        carry += np.uint64(1)
    two = mulhi(bits_low, scale_high) + mulhi(bits_high, scale_low) + bits_high * scale_high
    two += carry
    return np.int64((total >> np.uint64(60)) | (two << np.uint64(4)))


@inner
def _base_us(k: Ints, policy: int, nth: int) -> int:
    left = nth - 1
    cycle = k[policy + Q_CYCLE]
    if cycle:
        left %= cycle
    delay_us = 0
    for place in range(k[policy + Q_BEGIN], k[policy + Q_END]):
        step = k[STEPS] + 2 * place
        delay_us = k[step + STEP_DELAY_US]
        if left < k[step + STEP_COUNT]:
            return delay_us
        left -= k[step + STEP_COUNT]
    return delay_us


@inner
def retry_delay_us(k: Ints, which: int, nth: int, asked_us: int, word: Word) -> int:
    """Return ``Backoff.delay_us``; ``word`` is the retry's own (unused without jitter)."""
    policy = k[POLICIES] + which * POLICY_SIZE
    bound = k[policy + Q_TRIES_MAX]
    if bound >= 0 and nth > bound:
        return -1
    base_us = _base_us(k, policy, nth)
    if k[policy + Q_RETRY_AFTER] and asked_us > base_us:
        base_us = asked_us
    jitter_ppm = k[policy + Q_JITTER_PPM]
    if jitter_ppm:
        swing_us = base_us * jitter_ppm // MILLION
        base_us += below(word, 2 * swing_us) - swing_us
    return max(1, base_us)
