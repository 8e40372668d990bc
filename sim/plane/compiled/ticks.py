"""Ticks of periodic sources, line by line: where a source of a line stands, and a slab of ticks.

Equal to ``sim.traffic.arrivals`` for periodic and reporting sources, tick for tick.
"""

from __future__ import annotations

import numpy as np

from sim.plane.compiled import chance
from sim.plane.compiled.jit import Ints, entrance, inner, mulhi, pointer
from sim.plane.compiled.layout import (
    INSPECTING,
    T_INSPECTED,
)  # fmt: skip
from sim.plane.compiled.steady_layout import (
    BIN_INVERSE,
    C_FIRST_LINE,
    C_FIRST_UNIT,
    C_JITTER_PLACE,
    C_JITTER_US,
    C_KEY,
    C_LIMITED,
    C_UNITS,
    COUNTS,
    INSPECTED,
    KEYS,
    LINE_SHIFT,
    N_SOURCES,
    NEVER_US,
    SOURCE_SIZE,
    SOURCES,
    TIME_SHIFT,
    U_EVERY,
    U_NEXT_US,
    U_NUMBER,
    U_PHASE,
    U_WORD,
    UNIT_SIZE,
    UNITS,
)  # fmt: skip
from vpg.timebase import HOUR_US


@inner
def _draw(s: Ints, source: int, unit: int, row: int, number: int) -> None:
    """Draw the jitter of the four ticks around ``number``."""
    drawn = chance.words(s[source + C_KEY], unit, s[source + C_JITTER_PLACE], number >> 2, 0)
    s[row + U_WORD] = np.int64(drawn[0])
    s[row + U_WORD + 1] = np.int64(drawn[1])
    s[row + U_WORD + 2] = np.int64(drawn[2])
    s[row + U_WORD + 3] = np.int64(drawn[3])


@inner
def _tick_us(s: Ints, row: int, number: int, jitter_us: int) -> int:
    at_us = s[row + U_PHASE] + number * s[row + U_EVERY]
    if jitter_us > 1:
        at_us += chance.below(np.uint64(s[row + U_WORD + (number & 3)]), jitter_us)
    return at_us


@inner
def _stand(s: Ints, source: int, unit: int, row: int, from_us: int) -> None:
    jitter_us = s[source + C_JITTER_US]
    # The first tick that can be at or after the instant, with the largest jitter.
    number = -((s[row + U_PHASE] + max(jitter_us - 1, 0) - from_us) // s[row + U_EVERY])
    while True:
        if jitter_us > 1:
            _draw(s, source, unit, row, number)
        at_us = _tick_us(s, row, number, jitter_us)
        if at_us >= from_us:
            break
        number += 1
    s[row + U_NUMBER] = number
    s[row + U_NEXT_US] = at_us


@entrance
def stand(steady: Ints, from_us: int) -> None:
    """Let every source of every line stand at its first tick at or after ``from_us``."""
    s = pointer(steady)
    for which in range(s[N_SOURCES]):
        source = s[SOURCES] + which * SOURCE_SIZE
        for unit in range(s[source + C_UNITS]):
            row = s[UNITS] + (s[source + C_FIRST_UNIT] + unit) * UNIT_SIZE
            if s[row + U_NEXT_US] != NEVER_US:
                _stand(s, source, unit, row, from_us)


@inner
def emit(k: Ints, s: Ints, which: int, n: int, base_us: int, until_us: int) -> int:
    """Write the ticks of one source before ``until_us``; return how many keys there are now.

    Sources outside the limiter write no keys: the number of their ticks is all that counts.
    """
    source = s[SOURCES] + which * SOURCE_SIZE
    jitter_us = s[source + C_JITTER_US]
    limited = s[source + C_LIMITED]
    inverse = np.uint64(s[BIN_INVERSE])
    keys, counts = s[KEYS], s[COUNTS]
    hour = base_us // HOUR_US
    for unit in range(s[source + C_UNITS]):
        row = s[UNITS] + (s[source + C_FIRST_UNIT] + unit) * UNIT_SIZE
        at_us = s[row + U_NEXT_US]
        if at_us >= until_us:
            continue
        number = s[row + U_NUMBER]
        line = s[source + C_FIRST_LINE] + unit
        part = (line << LINE_SHIFT) | (which + 1)
        plain_us = s[row + U_PHASE] + number * s[row + U_EVERY]
        every_us = s[row + U_EVERY]
        while at_us < until_us:
            offset_us = at_us - base_us
            if limited:
                s[keys + n] = (offset_us << TIME_SHIFT) | part
                s[counts + np.int64(mulhi(np.uint64(offset_us), inverse))] += 1
            n += 1
            number += 1
            plain_us += every_us
            at_us = plain_us
            if jitter_us > 1:
                if number & 3 == 0:
                    _draw(s, source, unit, row, number)
                word = np.uint64(s[row + U_WORD + (number & 3)])
                at_us += np.int64(mulhi(word, np.uint64(jitter_us)))
        s[row + U_NUMBER] = number
        s[row + U_NEXT_US] = at_us
        if k[INSPECTING] and s[s[INSPECTED] + line] != hour:
            s[s[INSPECTED] + line] = hour
            k[T_INSPECTED] += 1
    return n
