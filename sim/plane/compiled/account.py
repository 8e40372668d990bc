"""Seconds and minutes of a steady stretch: the peaks and the minute's rows, slab by slab."""

from __future__ import annotations

from typing import Final

from sim.plane.compiled import gateway
from sim.plane.compiled.jit import Ints, inner
from sim.plane.compiled.layout import (
    BASE0,
    MINUTE,
    MINUTE_LINES,
    MINUTE_PEAK,
    MINUTE_PEAK_AT,
    MINUTE_SIZE,
    MINUTES_AT,
    MINUTES_SIZE,
    SECOND,
    SECOND_ATTACHES,
    SECOND_ATTEMPTS,
    SECOND_END,
    SESSIONS,
)  # fmt: skip
from sim.plane.compiled.steady_layout import (
    FROM_US,
    THROTTLED_IN,
    TRIES_IN,
    UNTIL_US,
)  # fmt: skip
from vpg.timebase import MINUTE_US, SECOND_US

_TRIES, _ACCEPTED, _THROTTLED, _ATTACHES, _REFUSED = range(5)
_SUMS: Final = 5


@inner
def _end_minute(k: Ints) -> None:
    """Write the running minute's row; in a steady stretch BASE0 … hold what the minute counted."""
    row = MINUTES_AT + k[MINUTES_SIZE] * MINUTE_SIZE
    k[row] = k[MINUTE]
    k[row + 1] = k[BASE0 + _TRIES]
    k[row + 2] = k[BASE0 + _ACCEPTED]
    k[row + 3] = k[BASE0 + _THROTTLED]
    k[row + 4] = k[MINUTE_PEAK_AT]
    k[row + 5] = k[MINUTE_PEAK]
    k[row + 6] = k[BASE0 + _ATTACHES]
    k[row + 7] = k[BASE0 + _REFUSED]
    k[row + 8] = k[MINUTE_LINES]
    if k[row + 1] or k[row + 6] or k[row + 5]:
        k[MINUTES_SIZE] += 1
    for which in range(_SUMS):
        k[BASE0 + which] = 0


@inner
def _turn(k: Ints, second_us: int) -> None:
    gateway.end_second(k)
    k[SECOND_ATTEMPTS] = 0
    k[SECOND_ATTACHES] = 0
    k[SECOND] = second_us
    k[SECOND_END] = second_us + SECOND_US
    if second_us >= k[MINUTE] + MINUTE_US:
        _end_minute(k)
        k[MINUTE] = second_us - second_us % MINUTE_US
        k[MINUTE_PEAK] = 0
        k[MINUTE_PEAK_AT] = k[MINUTE]
        k[MINUTE_LINES] = k[SESSIONS]


@inner
def swap_bases(k: Ints) -> None:
    """Turn the minute's bases into what it has counted; the same again turns them back."""
    for which in range(_SUMS):
        k[BASE0 + which] = gateway.sum_of(k, which) - k[BASE0 + which]


@inner
def account(k: Ints, s: Ints) -> None:
    """Count the slab's tries and refusals into their seconds and minutes."""
    second_us = s[FROM_US] - s[FROM_US] % SECOND_US
    place = 0
    while second_us < s[UNTIL_US]:
        tries, refused = s[s[TRIES_IN] + place], s[s[THROTTLED_IN] + place]
        if tries:
            if second_us >= k[SECOND_END]:
                _turn(k, second_us)
            k[SECOND_ATTEMPTS] += tries
            k[BASE0 + _TRIES] += tries
            k[BASE0 + _ACCEPTED] += tries - refused
            k[BASE0 + _THROTTLED] += refused
        second_us += SECOND_US
        place += 1
