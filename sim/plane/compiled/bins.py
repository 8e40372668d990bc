"""A steady stretch of a VPG, counted first: only where the limiter can bite are tries ordered.

The tries of a slab are counted in bins of a few each. A bin that holds no retry and has fewer tries
than there are tokens for certain is admitted whole, in whatever order. Any other bin is ordered and
decided try by try, from the exact tokens at its begin: these are found by replaying a few bins from
both ends of what they can have been, until both say the same.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.plane.compiled import gateway, pending
from sim.plane.compiled.account import account
from sim.plane.compiled.jit import Ints, entrance, inner, mulhi, pointer
from sim.plane.compiled.layout import (
    BUCKETED,
    BURST,
    DELAYS_AT,
    DONE,
    FLAG,
    NEEDS_ROOM,
    NOW,
    RATE,
    T_ACCEPTED,
    T_ATTEMPTS,
    T_BYTES_DOWN,
    T_BYTES_UP,
    T_DELIVERED,
    T_FLAGGED,
    T_MIRROR_DROPPED,
    T_MIRRORED,
    T_OFFERED,
    T_THROTTLED,
    V_A,
    V_B,
)  # fmt: skip
from sim.plane.compiled.ordering import sort_bin
from sim.plane.compiled.steady_layout import (
    BASE_BIN,
    BASE_US,
    BIN_INVERSE,
    BIN_US,
    C_ACCEPTED_AGAIN,
    C_AGAIN,
    C_COPIED,
    C_COPIED_THROTTLED,
    C_DOWN,
    C_DROPPED,
    C_DROPPED_THROTTLED,
    C_FIRST_LINE,
    C_FIRST_UNIT,
    C_LIMITED,
    C_REFUSED,
    C_REFUSED_FIRST,
    C_SERVICE,
    C_UP,
    COST,
    COUNTS,
    ENDS,
    EXACT_FROM,
    FREE_NODES,
    FROM_US,
    HOLDERS,
    KEYS,
    LINE_MASK,
    LINE_SHIFT,
    LOWS,
    N_DUE_US,
    N_KEYS,
    N_SOURCES,
    NODE_SIZE,
    NODES,
    ORDER,
    ORDER_SIZE,
    SCATTERED,
    SLAB_US,
    SORTED,
    SOURCE_MASK,
    SOURCE_SIZE,
    SOURCES,
    STATE,
    THROTTLED_IN,
    TIME_SHIFT,
    TRIES_IN,
    U_EVERY,
    U_PHASE,
    UNIT_SIZE,
    UNITS,
    UNTIL_US,
    WALK_EXACT,
    WALK_LOW,
    WALK_PLACE,
    WHEEL,
    WHEEL_MASK,
)  # fmt: skip
from sim.plane.compiled.ticks import emit
from vpg.gateway import limiter
from vpg.timebase import SECOND_US

bucket_admit_soon = inner(limiter.bucket_admit_soon)
_ENDLESS: Final = 1 << 60
_BACK: Final = 4
"""Bins to go back first when the exact tokens are asked for."""


# ---- counting a slab -----------------------------------------------------------------------------


@inner
def _count_source(k: Ints, s: Ints, which: int) -> None:
    source = s[SOURCES] + which * SOURCE_SIZE
    limited = s[source + C_LIMITED]
    before = s[N_KEYS] if limited else 0
    after = emit(k, s, which, before, s[BASE_US], s[UNTIL_US])
    count = after - before
    if limited:
        s[N_KEYS] = after
    # As if all were accepted; what is refused is taken back when the slab is booked.
    k[T_OFFERED] += count
    k[DELAYS_AT] += count
    _book(k, s, source, count, count, 0)


@inner
def _book(k: Ints, s: Ints, source: int, tries: int, accepted: int, refused: int) -> None:
    """Count tries of a source with what they mean for bytes and copies."""
    service = s[source + C_SERVICE]
    k[T_ATTEMPTS + service] += tries
    k[T_ACCEPTED + service] += accepted
    k[T_THROTTLED + service] += refused
    k[T_DELIVERED] += accepted
    k[T_BYTES_UP] += accepted * s[source + C_UP]
    k[T_BYTES_DOWN] += accepted * s[source + C_DOWN]
    k[T_MIRRORED] += accepted * s[source + C_COPIED] + refused * s[source + C_COPIED_THROTTLED]
    k[T_MIRROR_DROPPED] += accepted * s[source + C_DROPPED]
    k[T_MIRROR_DROPPED] += refused * s[source + C_DROPPED_THROTTLED]


@inner
def _book_refusals(k: Ints, s: Ints) -> None:
    for which in range(s[N_SOURCES]):
        source = s[SOURCES] + which * SOURCE_SIZE
        first, refused = s[source + C_REFUSED_FIRST], s[source + C_REFUSED]
        again, accepted = s[source + C_AGAIN], s[source + C_ACCEPTED_AGAIN]
        k[DELAYS_AT] -= first
        _book(k, s, source, again, accepted - first, refused)
        for column in range(C_REFUSED_FIRST, C_ACCEPTED_AGAIN + 1):
            s[source + column] = 0


@inner
def _count_slab(k: Ints, s: Ints, bins: int) -> None:
    for place in range(bins):
        s[s[COUNTS] + place] = 0
    s[N_KEYS] = 0
    s[SCATTERED] = 0
    for which in range(s[N_SOURCES]):
        _count_source(k, s, which)
    seconds = (s[UNTIL_US] - 1) // SECOND_US - s[BASE_US] // SECOND_US + 1
    for place in range(seconds):
        s[s[TRIES_IN] + place] = 0
        s[s[THROTTLED_IN] + place] = 0
    begun_us = s[BASE_US] % SECOND_US
    for place in range(bins):
        second = (begun_us + place * s[BIN_US]) // SECOND_US
        s[s[TRIES_IN] + second] += s[s[COUNTS] + place]


@inner
def _scatter(s: Ints, bins: int) -> None:
    """Put the keys of each bin side by side; ENDS then says where each bin ends."""
    place = 0
    for i in range(bins):
        s[s[ENDS] + i] = place
        place += s[s[COUNTS] + i]
    inverse = np.uint64(s[BIN_INVERSE])
    keys, ends, target = s[KEYS], s[ENDS], s[SORTED]
    for i in range(s[N_KEYS]):
        key = s[keys + i]
        which = ends + np.int64(mulhi(np.uint64(key >> TIME_SHIFT), inverse))
        s[target + s[which]] = key
        s[which] += 1
    s[SCATTERED] = 1


@inner
def _lay_out(s: Ints, place: int) -> int:
    """Lay the first tries of a bin out to be ordered; return how many there are."""
    count = s[s[COUNTS] + place]
    first = s[SORTED] + s[s[ENDS] + place] - count
    order, holders = s[ORDER], s[HOLDERS]
    for i in range(count):
        s[order + i] = s[first + i]
        s[holders + i] = -1
    return count


# ---- exact tokens --------------------------------------------------------------------------------


@inner
def _bin_begin_us(s: Ints, place: int) -> int:
    return max(s[BASE_US] + place * s[BIN_US], s[FROM_US])


@inner
def _replay(k: Ints, s: Ints, first: int, place: int, count: int) -> tuple[int, int]:
    """Return what the tokens can be when ``place`` begins, from both ends of what they were.

    ``first``: the bin to begin with; ``count`` >= 0: its tries and all later ones are laid out.
    """
    rate, capacity, cost = (
        k[RATE],
        k[BURST] * limiter.REQUEST_MICRO,
        s[COST] * limiter.REQUEST_MICRO,
    )
    low, high = s[s[LOWS] + first], capacity
    if first == s[EXACT_FROM]:
        high = low
    last_us = _bin_begin_us(s, first)
    laid_out = count >= 0
    while first < place:
        if not laid_out:
            count = _lay_out(s, first)
        sort_bin(s, count)
        for i in range(count):
            at_us = s[BASE_US] + (s[s[ORDER] + i] >> TIME_SHIFT)
            low, _ = bucket_admit_soon(low, last_us, at_us, rate, capacity, cost)
            high, _ = bucket_admit_soon(high, last_us, at_us, rate, capacity, cost)
            last_us = at_us
        first = place if laid_out else first + 1
    end_us = min(_bin_begin_us(s, place), s[UNTIL_US])
    low = min(capacity, low + rate * (end_us - last_us))
    high = min(capacity, high + rate * (end_us - last_us))
    return low, high


@inner
def _lay_out_from(s: Ints, first: int) -> int:
    """Lay out every first try from a bin on, of a slab whose keys were never put in bins."""
    since_us = first * s[BIN_US]
    order, holders, keys = s[ORDER], s[HOLDERS], s[KEYS]
    least = since_us << TIME_SHIFT
    count = 0
    for i in range(s[N_KEYS]):
        key = s[keys + i]
        s[order + count] = key
        s[holders + count] = -1
        count += key >= least
    return count


@inner
def _exact_tokens(k: Ints, s: Ints, place: int, at_end: bool) -> int:
    """Return the exact tokens when bin ``place`` begins (``at_end``: when the slab ends)."""
    back = _BACK
    while True:
        first = max(place - back, s[EXACT_FROM])
        count = -1
        if at_end and not s[SCATTERED]:
            count = _lay_out_from(s, first)
        low, high = _replay(k, s, first, place, count)
        if low == high:
            return low
        back *= 4


# ---- deciding try by try -------------------------------------------------------------------------


@inner
def _first_try_refused(k: Ints, s: Ints, key: int) -> int:
    """Return the node of a message whose first try was refused now."""
    which = (key & SOURCE_MASK) - 1
    line = (key >> LINE_SHIFT) & LINE_MASK
    source = s[SOURCES] + which * SOURCE_SIZE
    s[source + C_REFUSED_FIRST] += 1
    unit = s[source + C_FIRST_UNIT] + line - s[source + C_FIRST_LINE]
    row = s[UNITS] + unit * UNIT_SIZE
    # Jitter is shorter than the interval: the tick's number is what has passed since its phase.
    number = (k[NOW] - s[row + U_PHASE]) // s[row + U_EVERY]
    return pending.open_node(k, s, which, line, number)


@inner
def _close_up(s: Ints, done: int, count: int) -> int:
    """Move the tries still to come to the front; return how many they are."""
    order, holders = s[ORDER], s[HOLDERS]
    for i in range(done, count):
        s[order + i - done] = s[order + i]
        s[holders + i - done] = s[holders + i]
    return count - done


@inner
def _admits(k: Ints, s: Ints, tokens: int, last_us: int) -> tuple[int, bool]:
    """Ask the limiter for one try, now; return the tokens (of a bucket) and the answer."""
    if not k[RATE]:
        return tokens, True
    if k[BUCKETED]:
        capacity, cost = k[BURST] * limiter.REQUEST_MICRO, s[COST] * limiter.REQUEST_MICRO
        tokens, admitted = bucket_admit_soon(tokens, last_us, k[NOW], k[RATE], capacity, cost)
    else:
        state = s[STATE]
        a, b, admitted = gateway.window_admit(
            k[state + V_A], k[state + V_B], k[NOW], k[RATE], s[COST]
        )
        k[state + V_A], k[state + V_B] = a, b
    if k[FLAG] and not admitted:
        k[T_FLAGGED] += 1
        return tokens, True
    return tokens, admitted == 1


@inner
def _wait_again(s: Ints, node: int, done: int, count: int, end_us: int) -> tuple[int, int]:
    """Let a node wait for its next try, in this bin perhaps; return (tries done, tries) of it."""
    if s[s[NODES] + node * NODE_SIZE + N_DUE_US] >= end_us:
        pending.put_on_wheel(s, node)
        return done, count
    if count == s[ORDER_SIZE]:
        # Tries of one bin may be more than messages; those that are done make room.
        count = _close_up(s, done, count)
        done = 0
    pending.insert(s, node, done, count)
    return done, count + 1


@inner
def _serve(k: Ints, s: Ints, place: int, tokens: int, end_us: int) -> int:
    """Decide a bin try by try, from exact ``tokens`` at its begin; return the tokens at its end."""
    slot = s[WHEEL] + ((s[BASE_BIN] + place) & s[WHEEL_MASK])
    count = pending.take_due(s, slot, end_us, _lay_out(s, place))
    sort_bin(s, count)
    last_us = _bin_begin_us(s, place)
    tries = refused = i = 0
    while i < count:
        key, node = s[s[ORDER] + i], s[s[HOLDERS] + i]
        i += 1
        k[NOW] = s[BASE_US] + (key >> TIME_SHIFT)
        admitted = node >= 0 and not pending.is_limited(s, node)
        if not admitted:
            tokens, admitted = _admits(k, s, tokens, last_us)
            last_us = k[NOW]
            tries += node >= 0
        if node >= 0:
            pending.tried_again(k, s, node)
            if admitted:
                pending.accepted(k, s, node)
                continue
        elif admitted:
            continue
        else:
            node = _first_try_refused(k, s, key)
        refused += 1
        if pending.throttled(k, s, node, tokens):
            i, count = _wait_again(s, node, i, count, end_us)
    second = (s[BASE_US] % SECOND_US + place * s[BIN_US]) // SECOND_US
    s[s[TRIES_IN] + second] += tries
    s[s[THROTTLED_IN] + second] += refused
    return min(k[BURST] * limiter.REQUEST_MICRO, tokens + k[RATE] * (end_us - last_us))


# ---- walking through the bins of a slab ----------------------------------------------------------


@inner
def _begin_walk(k: Ints, s: Ints) -> None:
    state = s[STATE]
    refilled = k[state + V_A] + k[RATE] * (s[FROM_US] - k[state + V_B])
    s[WALK_LOW] = min(k[BURST] * limiter.REQUEST_MICRO, refilled) if k[RATE] else _ENDLESS
    s[WALK_EXACT] = 1
    s[WALK_PLACE] = 0
    s[EXACT_FROM] = 0


@inner
def _walk_bucket(k: Ints, s: Ints, bins: int) -> int:
    """Go through the bins from WALK_PLACE on; NEEDS_ROOM: go on from there when nodes are free."""
    rate, capacity, cost = (
        k[RATE],
        k[BURST] * limiter.REQUEST_MICRO,
        s[COST] * limiter.REQUEST_MICRO,
    )
    if not rate:
        capacity = _ENDLESS
    low, exact, place = s[WALK_LOW], s[WALK_EXACT], s[WALK_PLACE]
    begin_us = _bin_begin_us(s, place)
    while place < bins:
        end_us = min(s[BASE_US] + (place + 1) * s[BIN_US], s[UNTIL_US])
        count = s[s[COUNTS] + place]
        slot = s[WHEEL] + ((s[BASE_BIN] + place) & s[WHEEL_MASK])
        s[s[LOWS] + place] = low
        if low >= count * cost and (s[slot] < 0 or not pending.any_due(s, slot, end_us)):
            low = min(capacity, low + rate * (end_us - begin_us)) - count * cost
            exact = 1 if low == capacity else exact if count == 0 else 0
            if exact:
                s[EXACT_FROM] = place + 1
        else:
            if s[FREE_NODES] < count:
                s[WALK_LOW], s[WALK_EXACT], s[WALK_PLACE] = low, exact, place
                return NEEDS_ROOM
            if not s[SCATTERED]:
                _scatter(s, bins)
            if not exact:
                low = _exact_tokens(k, s, place, False)
            low = _serve(k, s, place, low, end_us)
            exact = 1
            s[EXACT_FROM] = place + 1
        begin_us = end_us
        place += 1
    s[s[LOWS] + bins] = low
    state = s[STATE]
    if rate:
        k[state + V_A] = low if exact else _exact_tokens(k, s, bins, True)
    k[state + V_B] = s[UNTIL_US]
    return DONE


@inner
def _second_is_calm(k: Ints, s: Ints, place: int, bins: int) -> int:
    """Return the bin behind the second that begins with ``place`` if all of it fits, else -1."""
    state = s[STATE]
    second = _bin_begin_us(s, place) // SECOND_US
    used = k[state + V_B] if k[state + V_A] == second else 0
    total = 0
    while place < bins and _bin_begin_us(s, place) // SECOND_US == second:
        end_us = min(s[BASE_US] + (place + 1) * s[BIN_US], s[UNTIL_US])
        slot = s[WHEEL] + ((s[BASE_BIN] + place) & s[WHEEL_MASK])
        if s[slot] >= 0 and pending.any_due(s, slot, end_us):
            return -1
        total += s[s[COUNTS] + place]
        place += 1
    if used + total * s[COST] > k[RATE]:
        return -1
    if total:
        k[state + V_A], k[state + V_B] = second, used + total * s[COST]
    return place


@inner
def _walk_window(k: Ints, s: Ints, bins: int) -> int:
    """Do as ``_walk_bucket`` does, second by second."""
    place = s[WALK_PLACE]
    while place < bins:
        behind = _second_is_calm(k, s, place, bins)
        if behind >= 0:
            place = behind
            continue
        second = _bin_begin_us(s, place) // SECOND_US
        if not s[SCATTERED]:
            _scatter(s, bins)
        while place < bins and _bin_begin_us(s, place) // SECOND_US == second:
            if s[FREE_NODES] < s[s[COUNTS] + place]:
                s[WALK_PLACE] = place
                return NEEDS_ROOM
            end_us = min(s[BASE_US] + (place + 1) * s[BIN_US], s[UNTIL_US])
            _serve(k, s, place, 0, end_us)
            place += 1
    return DONE


@inner
def _slab(k: Ints, s: Ints, from_us: int, until_us: int) -> int:
    """Do everything before ``until_us``; NEEDS_ROOM: the same again when nodes are free."""
    if s[FROM_US] != from_us or s[UNTIL_US] != until_us:
        s[FROM_US], s[UNTIL_US] = from_us, until_us
        s[BASE_BIN] = from_us // s[BIN_US]
        s[BASE_US] = s[BASE_BIN] * s[BIN_US]
        _count_slab(k, s, (until_us - 1 - s[BASE_US]) // s[BIN_US] + 1)
        _begin_walk(k, s)
    bins = (until_us - 1 - s[BASE_US]) // s[BIN_US] + 1
    by_bucket = k[BUCKETED] or not k[RATE]
    answer = _walk_bucket(k, s, bins) if by_bucket else _walk_window(k, s, bins)
    if answer == DONE:
        _book_refusals(k, s)
        account(k, s)
    return answer


@entrance
def steady(memory: Ints, steady: Ints, from_us: int, until_us: int) -> int:
    """Do everything from ``from_us`` to ``until_us``, or to where nodes must become free first.

    NEEDS_ROOM: ``NOW`` is inside a slab then; call again from its begin, ``FROM_US``.
    """
    k, s = pointer(memory), pointer(steady)
    answer = DONE
    gateway.swap_bases(k)
    while from_us < until_us:
        end_us = min(until_us, from_us + s[SLAB_US])
        answer = _slab(k, s, from_us, end_us)
        if answer != DONE:
            break
        from_us = end_us
        k[NOW] = from_us
    gateway.swap_bases(k)
    return answer
