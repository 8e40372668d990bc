"""Open messages of a line, compiled: opening, waiting, giving up (twin of ``sim.plane.line``)."""

from __future__ import annotations

from typing import Final

from sim.plane.compiled import agenda
from sim.plane.compiled.gateway import count_pending
from sim.plane.compiled.jit import Ints, inner
from sim.plane.compiled.layout import (
    DELAYS_AT,
    EXPIRES,
    F_BUFFER,
    F_INDEPENDENT,
    F_RETRY,
    FLEET_SIZE,
    FLEETS,
    FREE_MESSAGE,
    FREE_MESSAGES,
    L_BUSY,
    L_BUSY_NO,
    L_FLEET,
    L_OPEN_HEAD,
    L_OPEN_TAIL,
    L_PARK_HEAD,
    L_PARK_TAIL,
    L_PARKED,
    L_QUEUE_HEAD,
    L_QUEUE_TAIL,
    L_QUEUED,
    LINE_SIZE,
    LINES,
    M_CREATED,
    M_DOWN,
    M_LINE,
    M_NEXT,
    M_NUMBER,
    M_OPEN_NEXT,
    M_OPEN_PREV,
    M_PREV,
    M_SERIAL,
    M_SOURCE,
    M_TRIES,
    M_UP,
    M_WAITS_IN,
    MESSAGE_SIZE,
    MESSAGES,
    NOW,
    NOWHERE,
    POLICIES,
    POLICY_SIZE,
    Q_DEADLINE_US,
    QUEUED,
    RELEASE_DUE,
    SOJOURN,
    T_LOST_CANCELLED,
)  # fmt: skip
from vpg.rating import histogram

_EXACT_BITS: Final = histogram.EXACT_BITS


@inner
def count_delay(k: Ints, delay_us: int) -> None:
    """Count a delivery's delay (``histogram.bucket_of``, which asks an integer for its bits)."""
    bits = 0
    left = delay_us >> _EXACT_BITS
    while left:
        left >>= 1
        bits += 1
    k[DELAYS_AT + bits * (1 << (_EXACT_BITS - 1)) + (delay_us >> bits)] += 1


@inner
def open_message(k: Ints, line: int, source: int, number: int, up: int, down: int) -> int:
    """Return a new open message of ``line``, created now."""
    message = k[FREE_MESSAGE]
    row = k[MESSAGES] + message * MESSAGE_SIZE
    k[FREE_MESSAGE] = k[row + M_OPEN_NEXT]
    k[FREE_MESSAGES] -= 1
    k[row + M_LINE], k[row + M_SOURCE], k[row + M_NUMBER] = line, source, number
    k[row + M_CREATED], k[row + M_UP], k[row + M_DOWN] = k[NOW], up, down
    k[row + M_TRIES], k[row + M_WAITS_IN] = 0, NOWHERE
    device = k[LINES] + line * LINE_SIZE
    tail = k[device + L_OPEN_TAIL]
    k[row + M_OPEN_PREV], k[row + M_OPEN_NEXT] = tail, -1
    if tail >= 0:
        k[k[MESSAGES] + tail * MESSAGE_SIZE + M_OPEN_NEXT] = message
    else:
        k[device + L_OPEN_HEAD] = message
    k[device + L_OPEN_TAIL] = message
    count_pending(k, 1)
    return message


@inner
def close_message(k: Ints, message: int) -> None:
    """End a message; whatever is still set for it sees another serial."""
    row = k[MESSAGES] + message * MESSAGE_SIZE
    device = k[LINES] + k[row + M_LINE] * LINE_SIZE
    before, after = k[row + M_OPEN_PREV], k[row + M_OPEN_NEXT]
    if before >= 0:
        k[k[MESSAGES] + before * MESSAGE_SIZE + M_OPEN_NEXT] = after
    else:
        k[device + L_OPEN_HEAD] = after
    if after >= 0:
        k[k[MESSAGES] + after * MESSAGE_SIZE + M_OPEN_PREV] = before
    else:
        k[device + L_OPEN_TAIL] = before
    k[row + M_SERIAL] += 1
    k[row + M_OPEN_NEXT] = k[FREE_MESSAGE]
    k[FREE_MESSAGE] = message
    k[FREE_MESSAGES] += 1
    k[SOJOURN] += k[NOW] - k[row + M_CREATED]
    count_pending(k, -1)


# ---- waiting -------------------------------------------------------------------------------------


@inner
def has_buffer(k: Ints, line: int) -> bool:
    """Return whether the device can hold one more message."""
    device = k[LINES] + line * LINE_SIZE
    room = k[k[FLEETS] + k[device + L_FLEET] * FLEET_SIZE + F_BUFFER]
    return k[device + L_PARKED] + k[device + L_QUEUED] < room


@inner
def append(k: Ints, line: int, message: int, where: int) -> None:
    """Put a message at the end of a line's list of those that wait."""
    device = k[LINES] + line * LINE_SIZE
    head, tail, count = device + L_PARK_HEAD, device + L_PARK_TAIL, device + L_PARKED
    if where == QUEUED:
        head, tail, count = device + L_QUEUE_HEAD, device + L_QUEUE_TAIL, device + L_QUEUED
    row = k[MESSAGES] + message * MESSAGE_SIZE
    last = k[tail]
    k[row + M_PREV], k[row + M_NEXT] = last, -1
    if last >= 0:
        k[k[MESSAGES] + last * MESSAGE_SIZE + M_NEXT] = message
    else:
        k[head] = message
    k[tail] = message
    k[count] += 1
    k[row + M_WAITS_IN] = where


@inner
def take_out(k: Ints, line: int, message: int) -> None:
    """Take a message out of the list it waits in."""
    row = k[MESSAGES] + message * MESSAGE_SIZE
    device = k[LINES] + line * LINE_SIZE
    head, tail, count = device + L_PARK_HEAD, device + L_PARK_TAIL, device + L_PARKED
    if k[row + M_WAITS_IN] == QUEUED:
        head, tail, count = device + L_QUEUE_HEAD, device + L_QUEUE_TAIL, device + L_QUEUED
    before, after = k[row + M_PREV], k[row + M_NEXT]
    if before >= 0:
        k[k[MESSAGES] + before * MESSAGE_SIZE + M_NEXT] = after
    else:
        k[head] = after
    if after >= 0:
        k[k[MESSAGES] + after * MESSAGE_SIZE + M_PREV] = before
    else:
        k[tail] = before
    k[count] -= 1
    k[row + M_WAITS_IN] = NOWHERE


@inner
def wait_in(k: Ints, line: int, message: int, where: int) -> None:
    """Let a message wait, until its deadline if it has one."""
    append(k, line, message, where)
    fleet = k[k[LINES] + line * LINE_SIZE + L_FLEET]
    policy = k[k[FLEETS] + fleet * FLEET_SIZE + F_RETRY]
    deadline_us = k[k[POLICIES] + policy * POLICY_SIZE + Q_DEADLINE_US]
    if deadline_us >= 0:
        row = k[MESSAGES] + message * MESSAGE_SIZE
        at_us = max(k[row + M_CREATED] + deadline_us, k[NOW])
        agenda.set_try(k, at_us, message, EXPIRES, k[row + M_SERIAL])


# ---- giving up, freeing --------------------------------------------------------------------------


@inner
def free(k: Ints, line: int, path_us: int) -> None:
    """Let the next held message go, once the answer to this one is there."""
    device = k[LINES] + line * LINE_SIZE
    if k[k[FLEETS] + k[device + L_FLEET] * FLEET_SIZE + F_INDEPENDENT]:
        return
    if path_us:
        at_us = k[NOW] + path_us
        agenda.set_timer(k, at_us, line, agenda.RELEASE, RELEASE_DUE, k[device + L_BUSY_NO], 0)
    else:
        k[device + L_BUSY] = 0


@inner
def lose(k: Ints, message: int, why: int, path_us: int, in_flight: bool) -> None:
    """Give a message up, counted under ``why``."""
    k[why] += 1
    line = k[k[MESSAGES] + message * MESSAGE_SIZE + M_LINE]
    close_message(k, message)
    if in_flight:
        free(k, line, path_us)


@inner
def occupy(k: Ints, line: int) -> None:
    """Let a message be in flight."""
    device = k[LINES] + line * LINE_SIZE
    k[device + L_BUSY] = 1
    k[device + L_BUSY_NO] += 1


@inner
def cancel_all(k: Ints, line: int) -> None:
    """Lose every open message of the line."""
    device = k[LINES] + line * LINE_SIZE
    for column in (L_PARK_HEAD, L_QUEUE_HEAD):
        k[device + column], k[device + column + 1], k[device + column + 2] = -1, -1, 0
    while k[device + L_OPEN_HEAD] >= 0:
        lose(k, k[device + L_OPEN_HEAD], T_LOST_CANCELLED, 0, True)
    k[device + L_BUSY] = 0
