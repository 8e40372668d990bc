"""Messages that wait for a retry in a steady stretch: a wheel of bins, and their outcomes."""

from __future__ import annotations

import numpy as np

from sim.plane.compiled import chance, gateway, messages, ordering
from sim.plane.compiled.jit import Ints, inner, mulhi
from sim.plane.compiled.layout import (
    BUCKETED,
    INSPECTING,
    NOW,
    POLICIES,
    POLICY_SIZE,
    Q_DEADLINE_US,
    Q_JITTER_PPM,
    Q_RETRY_AFTER,
    RATE,
    RESET,
    SOJOURN,
    T_INSPECTED,
    T_LOST_DEADLINE,
    T_LOST_TRIES,
)  # fmt: skip
from sim.plane.compiled.steady_layout import (
    ACTIVE,
    BASE_BIN,
    BASE_US,
    BIN_INVERSE,
    C_ACCEPTED_AGAIN,
    C_AGAIN,
    C_FIRST_LINE,
    C_KEY,
    C_LIMITED,
    C_POLICY,
    C_REFUSED,
    C_RETRY_PLACE,
    COST,
    FREE_NODE,
    FREE_NODES,
    HOLDERS,
    INSPECTED,
    LINE_SHIFT,
    N_CREATED_US,
    N_DUE_US,
    N_LINE,
    N_NEXT,
    N_NUMBER,
    N_SOURCE,
    N_TRIES,
    N_WORD,
    NODE_SIZE,
    NODES,
    ORDER,
    SOURCE_SIZE,
    SOURCES,
    TIME_SHIFT,
    WAIT_TABLE,
    WAITS,
    WHEEL,
    WHEEL_MASK,
)  # fmt: skip
from vpg.timebase import HOUR_US, SECOND_US


@inner
def slot_of(s: Ints, at_us: int) -> int:
    """Return the place of the wheel that holds tries at ``at_us``."""
    since = np.int64(mulhi(np.uint64(at_us - s[BASE_US]), np.uint64(s[BIN_INVERSE])))
    return s[WHEEL] + ((s[BASE_BIN] + since) & s[WHEEL_MASK])


@inner
def is_limited(s: Ints, node: int) -> bool:
    """Return whether a node's tries go through the limiter (a lost session delays others too)."""
    row = s[NODES] + node * NODE_SIZE
    return s[s[SOURCES] + s[row + N_SOURCE] * SOURCE_SIZE + C_LIMITED] > 0


@inner
def any_due(s: Ints, slot: int, before_us: int) -> bool:
    """Return whether a place of the wheel holds a try before ``before_us``."""
    node = s[slot]
    while node >= 0:
        row = s[NODES] + node * NODE_SIZE
        if s[row + N_DUE_US] < before_us:
            return True
        node = s[row + N_NEXT]
    return False


@inner
def take_due(s: Ints, slot: int, before_us: int, count: int) -> int:
    """Move tries before ``before_us`` behind the first ``count`` of the bin; return how many."""
    node, kept = s[slot], -1
    while node >= 0:
        row = s[NODES] + node * NODE_SIZE
        after = s[row + N_NEXT]
        if s[row + N_DUE_US] < before_us:
            offset_us = s[row + N_DUE_US] - s[BASE_US]
            s[s[ORDER] + count] = (offset_us << TIME_SHIFT) | (s[row + N_LINE] << LINE_SHIFT)
            s[s[HOLDERS] + count] = node
            count += 1
        else:
            s[row + N_NEXT] = kept
            kept = node
        node = after
    s[slot] = kept
    return count


@inner
def put_on_wheel(s: Ints, node: int) -> None:
    """Let a node wait in its place of the wheel."""
    row = s[NODES] + node * NODE_SIZE
    slot = slot_of(s, s[row + N_DUE_US])
    s[row + N_NEXT] = s[slot]
    s[slot] = node


@inner
def insert(s: Ints, node: int, first: int, count: int) -> None:
    """Insert a node's try into the running bin, whose tries from ``first`` on are still to come."""
    row = s[NODES] + node * NODE_SIZE
    key = ((s[row + N_DUE_US] - s[BASE_US]) << TIME_SHIFT) | (s[row + N_LINE] << LINE_SHIFT)
    order, holders, j = s[ORDER], s[HOLDERS], count
    while j > first and ordering.before(s, key, node, s[order + j - 1], s[holders + j - 1]):
        s[order + j] = s[order + j - 1]
        s[holders + j] = s[holders + j - 1]
        j -= 1
    s[order + j] = key
    s[holders + j] = node


# ---- outcomes ------------------------------------------------------------------------------------


@inner
def open_node(k: Ints, s: Ints, which: int, line: int, number: int) -> int:
    """Return a new node for a message whose first try, now, was refused."""
    node = s[FREE_NODE]
    row = s[NODES] + node * NODE_SIZE
    s[FREE_NODE] = s[row + N_NEXT]
    s[FREE_NODES] -= 1
    s[row + N_LINE], s[row + N_SOURCE], s[row + N_NUMBER] = line, which, number
    s[row + N_CREATED_US], s[row + N_TRIES] = k[NOW], 1
    gateway.count_pending(k, 1)
    return node


@inner
def close_node(k: Ints, s: Ints, node: int) -> None:
    """End a message."""
    row = s[NODES] + node * NODE_SIZE
    s[row + N_NEXT] = s[FREE_NODE]
    s[row + N_LINE] = -1
    s[FREE_NODE] = node
    s[FREE_NODES] += 1
    k[SOJOURN] += k[NOW] - s[row + N_CREATED_US]
    gateway.count_pending(k, -1)


@inner
def accepted(k: Ints, s: Ints, node: int) -> None:
    """Count a retry that was accepted."""
    row = s[NODES] + node * NODE_SIZE
    s[s[SOURCES] + s[row + N_SOURCE] * SOURCE_SIZE + C_ACCEPTED_AGAIN] += 1
    messages.count_delay(k, k[NOW] - s[row + N_CREATED_US])
    close_node(k, s, node)


@inner
def _asked_us(k: Ints, s: Ints, tokens_micro: int) -> int:
    if k[RESET] or not k[RATE]:
        return 0
    if k[BUCKETED]:
        wait_us = gateway.bucket_retry_after_us(tokens_micro, k[RATE], s[COST])
    else:
        wait_us = gateway.window_retry_after_us(k[NOW])
    return gateway.retry_after_s(wait_us) * SECOND_US


@inner
def _word(s: Ints, row: int, source: int) -> chance.Word:
    place = s[row + N_TRIES] - 1
    if place & 3 == 0:
        index = s[row + N_LINE] - s[source + C_FIRST_LINE]
        drawn = chance.words(
            s[source + C_KEY], index, s[source + C_RETRY_PLACE], s[row + N_NUMBER], place >> 2
        )
        s[row + N_WORD] = np.int64(drawn[0])
        s[row + N_WORD + 1] = np.int64(drawn[1])
        s[row + N_WORD + 2] = np.int64(drawn[2])
        s[row + N_WORD + 3] = np.int64(drawn[3])
    return np.uint64(s[row + N_WORD + (place & 3)])


@inner
def _delay_us(k: Ints, s: Ints, row: int, source: int, tokens_micro: int) -> int:
    """Return how long a message that was refused now waits, -1 for ever."""
    which, nth = s[source + C_POLICY], s[row + N_TRIES]
    policy = k[POLICIES] + which * POLICY_SIZE
    word = np.uint64(0)
    if k[policy + Q_JITTER_PPM]:
        word = _word(s, row, source)
    if k[policy + Q_RETRY_AFTER] or nth >= WAITS:
        asked_us = _asked_us(k, s, tokens_micro) if k[policy + Q_RETRY_AFTER] else 0
        return chance.retry_delay_us(k, which, nth, asked_us, word)
    place = s[WAIT_TABLE] + (s[row + N_SOURCE] * WAITS + nth) * 2
    base_us, swing_us = s[place], s[place + 1]
    if base_us < 0:
        return -1
    return max(1, base_us + chance.below(word, 2 * swing_us) - swing_us)


@inner
def throttled(k: Ints, s: Ints, node: int, tokens_micro: int) -> bool:
    """Count a refusal of a node's try, now; return whether it will try again (N_DUE_US is set)."""
    row = s[NODES] + node * NODE_SIZE
    source = s[SOURCES] + s[row + N_SOURCE] * SOURCE_SIZE
    s[source + C_REFUSED] += 1
    delay_us = _delay_us(k, s, row, source, tokens_micro)
    due_us = k[NOW] + delay_us
    deadline_us = k[k[POLICIES] + s[source + C_POLICY] * POLICY_SIZE + Q_DEADLINE_US]
    why = -1
    if delay_us < 0:
        why = T_LOST_TRIES
    elif deadline_us >= 0 and due_us > s[row + N_CREATED_US] + deadline_us:
        why = T_LOST_DEADLINE
    if why >= 0:
        k[why] += 1
        close_node(k, s, node)
        return False
    s[row + N_DUE_US] = due_us
    return True


@inner
def tried_again(k: Ints, s: Ints, node: int) -> None:
    """Count a retry of a node, now."""
    row = s[NODES] + node * NODE_SIZE
    line = s[row + N_LINE]
    s[row + N_TRIES] += 1
    s[s[SOURCES] + s[row + N_SOURCE] * SOURCE_SIZE + C_AGAIN] += 1
    s[s[ACTIVE] + line] = k[NOW]
    if k[INSPECTING]:
        hour = k[NOW] // HOUR_US
        if s[s[INSPECTED] + line] != hour:
            s[s[INSPECTED] + line] = hour
            k[T_INSPECTED] += 1
