"""The memory of a steady stretch: where its figures stand, beside the head of its VPG.

Owns: the layout. As in ``layout``: a head of fixed places, tables behind it whose first places the
head says. Times are ``SimUs``; keys order the tries of a slab: time since its base << 32, line
<< 8, then 0 for a retry and 1 + the source for a message's first try.
"""

from __future__ import annotations

from typing import Final

from sim.plane.compiled.layout import columns

_STEADY: Final = """
slab_us bin_us bin_inverse wheel_mask free_node free_nodes n_sources cost state base_us base_bin
from_us until_us n_keys scattered exact_from walk_place walk_low walk_exact order_size sources
units waits nodes wheel keys sorted counts ends lows order holders order2 holders2 tries_in
throttled_in active inspected
"""
(
    SLAB_US, BIN_US, BIN_INVERSE, WHEEL_MASK, FREE_NODE, FREE_NODES, N_SOURCES, COST, STATE,
    BASE_US, BASE_BIN, FROM_US, UNTIL_US, N_KEYS, SCATTERED, EXACT_FROM, WALK_PLACE, WALK_LOW,
    WALK_EXACT, ORDER_SIZE, SOURCES, UNITS, WAIT_TABLE, NODES, WHEEL, KEYS, SORTED, COUNTS,
    ENDS, LOWS, ORDER, HOLDERS, ORDER2, HOLDERS2, TRIES_IN, THROTTLED_IN, ACTIVE, INSPECTED,
) = columns(_STEADY)  # fmt: skip
STEADY_SIZE: Final = len(columns(_STEADY))

(
    C_SERVICE, C_LIMITED, C_JITTER_US, C_KEY, C_JITTER_PLACE, C_RETRY_PLACE, C_POLICY, C_UP, C_DOWN,
    C_COPIED, C_DROPPED, C_COPIED_THROTTLED, C_DROPPED_THROTTLED, C_FIRST_UNIT, C_UNITS,
    C_FIRST_LINE, C_REFUSED_FIRST, C_REFUSED, C_AGAIN, C_ACCEPTED_AGAIN,
) = range(20)  # fmt: skip
SOURCE_SIZE: Final = 20
"""The last four count what a slab's first tries and retries came to, until they are booked."""
WAITS: Final = 32
"""Retries whose wait is looked up: (base, swing of the jitter) in µs, -1 for never."""

U_PHASE, U_EVERY, U_NUMBER, U_NEXT_US, U_WORD = range(5)
UNIT_SIZE: Final = 8
"""One source of one line: its next tick, and the words of the four ticks around it."""
NEVER_US: Final = 1 << 62

N_NEXT, N_DUE_US, N_LINE, N_SOURCE, N_NUMBER, N_CREATED_US, N_TRIES, N_WORD = range(8)
NODE_SIZE: Final = 11
"""A message that waits for its next try, and four words of its retries."""

TIME_SHIFT: Final = 32
LINE_SHIFT: Final = 8
LINE_MASK: Final = (1 << (TIME_SHIFT - LINE_SHIFT)) - 1
SOURCE_MASK: Final = (1 << LINE_SHIFT) - 1
