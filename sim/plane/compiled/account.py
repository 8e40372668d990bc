"""Seconds and minutes of a steady stretch: the peaks and the minute's rows, slab by slab.

During a stretch BASE0 … hold what the running minute has counted (``gateway.swap_bases``).
"""

from __future__ import annotations

from sim.plane.compiled import gateway
from sim.plane.compiled.jit import Ints, inner
from sim.plane.compiled.layout import (
    BASE0,
    SECOND_ATTEMPTS,
    SECOND_END,
)  # fmt: skip
from sim.plane.compiled.steady_layout import (
    FROM_US,
    THROTTLED_IN,
    TRIES_IN,
    UNTIL_US,
)  # fmt: skip
from vpg.timebase import SECOND_US

_TRIES, _ACCEPTED, _THROTTLED = range(3)


@inner
def account(k: Ints, s: Ints) -> None:
    """Count the slab's tries and refusals into their seconds and minutes."""
    second_us = s[FROM_US] - s[FROM_US] % SECOND_US
    place = 0
    while second_us < s[UNTIL_US]:
        tries, refused = s[s[TRIES_IN] + place], s[s[THROTTLED_IN] + place]
        if tries:
            if second_us >= k[SECOND_END] and gateway.begin_second(k, second_us):
                gateway.write_minute(k)
                gateway.begin_minute(k, second_us)
            k[SECOND_ATTEMPTS] += tries
            k[BASE0 + _TRIES] += tries
            k[BASE0 + _ACCEPTED] += tries - refused
            k[BASE0 + _THROTTLED] += refused
        second_us += SECOND_US
        place += 1
