"""What a VPG decides, compiled: ``sim.plane.gateway`` over memory, with the same shared limiter.

The functions of ``vpg.gateway`` are compiled here as they stand; nothing of them is written again.
The kernel turns the second before anything else of an instant, so nothing here asks for it.
"""

from __future__ import annotations

from typing import Final

from scenarios.model import MILLION
from sim.plane.compiled import chance
from sim.plane.compiled.jit import Ints, inner
from sim.plane.compiled.layout import (
    ACCEPTED,
    AREA,
    BASE0,
    BUCKETED,
    BURST,
    BY_ASSIGNMENT,
    CAP_POLICY,
    DECISION_EXPIRES,
    FAIL_PPM,
    FLAG,
    GHOSTS,
    HEADER,
    IP,
    KEYS,
    L_ACTIVE_US,
    L_ASSIGNED,
    L_FLEET,
    L_GHOST,
    L_INDEX,
    L_JOINED,
    L_SESSION,
    LINE_SIZE,
    LINES,
    LINES_MAX,
    M_LINE,
    M_NUMBER,
    M_SOURCE,
    M_TRIES,
    M_UP,
    MESSAGE_SIZE,
    MESSAGES,
    MINUTE,
    MINUTE_LINES,
    MINUTE_PEAK,
    MINUTE_PEAK_AT,
    MINUTE_SIZE,
    MINUTES_AT,
    MINUTES_SIZE,
    MTU,
    N_LINES,
    N_PEERS,
    N_SERVICES,
    NOW,
    OVERHEAD,
    P_CAPACITY,
    P_DOWN,
    P_INDEX,
    P_LOSS_PPM,
    P_USED,
    P_WINDOW_S,
    PEER_SIZE,
    PEERS,
    PENDING,
    PENDING_SINCE,
    QUEUE_DEADLINE,
    QUEUE_MAX,
    QUEUEING,
    RATE,
    RESET,
    S_MIRROR,
    S_UPSTREAM,
    SECOND,
    SECOND_ATTACHES,
    SECOND_ATTEMPTS,
    SECOND_END,
    SERVICE_SIZE,
    SERVICES_AT,
    SESSIONS,
    SETUP_A,
    SETUP_B,
    SETUP_RATE,
    SOURCE_SIZE,
    SOURCES,
    T_ACCEPTED,
    T_ATTACH_PEAK,
    T_ATTACHES,
    T_ATTEMPTS,
    T_CREATED,
    T_DELETED,
    T_FLAGGED,
    T_GHOSTS_PEAK,
    T_LINES_PEAK,
    T_MIRROR_DROPPED,
    T_MIRRORED,
    T_RATE_PEAK,
    T_REFUSED,
    T_THROTTLED,
    THROTTLED,
    TIMEOUT,
    V_A,
    V_B,
    V_BUCKET,
    V_COST,
    V_DOWN,
    V_PATH_US,
    WAITING,
)  # fmt: skip
from vpg.gateway import junction, limiter, lines
from vpg.timebase import MINUTE_US, SECOND_US

_SUMS: Final = 5
"""Sums that a minute's row is the growth of: attempts, accepted, throttled, attaches, refused."""

bucket_admit = inner(limiter.bucket_admit)
bucket_enqueue = inner(limiter.bucket_enqueue)
bucket_retry_after_us = inner(limiter.bucket_retry_after_us)
window_admit = inner(limiter.window_admit)
window_enqueue = inner(limiter.window_enqueue)
window_retry_after_us = inner(limiter.window_retry_after_us)
retry_after_s = inner(limiter.retry_after_s)
admit_session = inner(lines.admit_session)
admit_assigned = inner(lines.admit_assigned)
peer_take = inner(junction.peer_take)
packets = inner(junction.packets)


# ---- the clock of seconds and minutes ------------------------------------------------------------


@inner
def sum_of(k: Ints, which: int) -> int:
    """Return one of the five sums."""
    if which == 3:
        return k[T_ATTACHES]
    if which == 4:
        return k[T_REFUSED]
    first = T_ATTEMPTS if which == 0 else T_ACCEPTED if which == 1 else T_THROTTLED
    total = 0
    for service in range(N_SERVICES):
        if service != IP:
            total += k[first + service]
    return total


@inner
def end_second(k: Ints) -> None:
    """Close the running second's peaks."""
    k[T_RATE_PEAK] = max(k[T_RATE_PEAK], k[SECOND_ATTEMPTS])
    k[T_ATTACH_PEAK] = max(k[T_ATTACH_PEAK], k[SECOND_ATTACHES])
    if k[SECOND_ATTEMPTS] > k[MINUTE_PEAK]:
        k[MINUTE_PEAK] = k[SECOND_ATTEMPTS]
        k[MINUTE_PEAK_AT] = k[SECOND]


@inner
def swap_bases(k: Ints) -> None:
    """Turn the minute's bases into what it has counted; the same again turns them back."""
    for which in range(_SUMS):
        k[BASE0 + which] = sum_of(k, which) - k[BASE0 + which]


@inner
def write_minute(k: Ints) -> None:
    """Write the minute's row where anything happened; BASE0 … hold its counts, and are 0 then."""
    row = MINUTES_AT + k[MINUTES_SIZE] * MINUTE_SIZE
    k[row] = k[MINUTE]
    for which in range(_SUMS):
        k[row + (1 + which if which < 3 else 3 + which)] = k[BASE0 + which]
        k[BASE0 + which] = 0
    k[row + 4] = k[MINUTE_PEAK_AT]
    k[row + 5] = k[MINUTE_PEAK]
    k[row + 8] = k[MINUTE_LINES]
    if k[row + 1] or k[row + 6] or k[row + 5]:
        k[MINUTES_SIZE] += 1


@inner
def end_minute(k: Ints) -> None:
    """Write the running minute's row; what it counts begins anew from the sums as they stand."""
    swap_bases(k)
    write_minute(k)
    swap_bases(k)


@inner
def begin_second(k: Ints, now_us: int) -> bool:
    """Close the running second, begin that of ``now_us``; return whether a minute has ended."""
    end_second(k)
    k[SECOND_ATTEMPTS] = 0
    k[SECOND_ATTACHES] = 0
    k[SECOND] = now_us - now_us % SECOND_US
    k[SECOND_END] = k[SECOND] + SECOND_US
    return now_us >= k[MINUTE] + MINUTE_US


@inner
def begin_minute(k: Ints, now_us: int) -> None:
    """Begin the minute of ``now_us``; the row of the one before has been written."""
    k[MINUTE] = now_us - now_us % MINUTE_US
    k[MINUTE_PEAK] = 0
    k[MINUTE_PEAK_AT] = k[MINUTE]
    k[MINUTE_LINES] = k[SESSIONS]


@inner
def turn(k: Ints, now_us: int) -> None:
    """Move on to the UTC second of ``now_us``, closing what has ended."""
    if begin_second(k, now_us):
        end_minute(k)
        begin_minute(k, now_us)


@inner
def rebase(k: Ints) -> None:
    """Let the running minute keep what it has counted when the row is about to begin anew."""
    for which in range(_SUMS):
        k[BASE0 + which] -= sum_of(k, which)


@inner
def count_pending(k: Ints, change: int) -> None:
    """Count ``change`` more open messages from now on."""
    k[AREA] += k[PENDING] * (k[NOW] - k[PENDING_SINCE])
    k[PENDING_SINCE] = k[NOW]
    k[PENDING] += change


# ---- sessions ------------------------------------------------------------------------------------


@inner
def forget_session(k: Ints, ghost: int) -> None:
    """Count a session (or a ghost) as deleted."""
    k[T_DELETED] += 1
    k[SESSIONS] -= 1
    k[GHOSTS] -= ghost


@inner
def create_session(k: Ints) -> None:
    """Count a session as created."""
    k[T_CREATED] += 1
    k[SESSIONS] += 1
    k[T_LINES_PEAK] = max(k[T_LINES_PEAK], k[SESSIONS])
    k[MINUTE_LINES] = max(k[MINUTE_LINES], k[SESSIONS])


@inner
def note_ghost(k: Ints) -> None:
    """Count a session as a ghost from now on."""
    k[GHOSTS] += 1
    k[T_GHOSTS_PEAK] = max(k[T_GHOSTS_PEAK], k[GHOSTS])


@inner
def longest_idle(k: Ints) -> int:
    """Return the row of the line whose session was idle longest, or -1."""
    found = -1
    for line in range(k[N_LINES]):
        row = k[LINES] + line * LINE_SIZE
        holds = k[row + L_JOINED] and (k[row + L_SESSION] or k[row + L_GHOST])
        if holds and (found < 0 or k[row + L_ACTIVE_US] < k[found + L_ACTIVE_US]):
            found = row
    return found


@inner
def setup_has_room(k: Ints) -> bool:
    """Return whether the set-up rate (A-18) lets one more attach through."""
    rate = k[SETUP_RATE]
    if not rate:
        return True
    tokens, last_us, admitted = bucket_admit(k[SETUP_A], k[SETUP_B], k[NOW], rate, rate, 1)
    k[SETUP_A], k[SETUP_B] = tokens, last_us
    return admitted == 1


@inner
def cap_decision(k: Ints, row: int) -> int:
    """Return what the line cap says about one more session (codes of ``vpg.gateway.lines``)."""
    if k[BY_ASSIGNMENT]:
        return admit_assigned(k[row + L_ASSIGNED], k[LINES_MAX], k[CAP_POLICY])
    return admit_session(k[SESSIONS], k[LINES_MAX], k[CAP_POLICY])


# ---- the limiter ---------------------------------------------------------------------------------


@inner
def _ask_queue(k: Ints, state: int, cost: int) -> tuple[int, int]:
    deadline_us, bound = k[QUEUE_DEADLINE], k[QUEUE_MAX]
    if k[BUCKETED]:
        a, b, wait_us = bucket_enqueue(
            k[state + V_A], k[state + V_B], k[NOW], k[RATE], k[BURST], cost, deadline_us, bound
        )
    else:
        a, b, wait_us = window_enqueue(
            k[state + V_A], k[state + V_B], k[NOW], k[RATE], cost, deadline_us, bound
        )
    k[state + V_A], k[state + V_B] = a, b
    if wait_us == 0:
        return ACCEPTED, 0
    if wait_us > 0:
        return WAITING, wait_us
    if wait_us == limiter.EXPIRES:
        return DECISION_EXPIRES, deadline_us
    return THROTTLED, 0


@inner
def ask(k: Ints, service: int) -> tuple[int, int]:
    """Ask the limiter for one attempt now; return (decision, µs until it stands)."""
    if service == IP:
        return ACCEPTED, 0
    k[SECOND_ATTEMPTS] += 1
    rate = k[RATE]
    if not rate:
        return ACCEPTED, 0
    place = SERVICES_AT + service * SERVICE_SIZE
    state = SERVICES_AT + k[place + V_BUCKET] * SERVICE_SIZE
    cost = k[place + V_COST]
    if k[QUEUEING]:
        return _ask_queue(k, state, cost)
    if k[BUCKETED]:
        a, b, admitted = bucket_admit(k[state + V_A], k[state + V_B], k[NOW], rate, k[BURST], cost)
    else:
        a, b, admitted = window_admit(k[state + V_A], k[state + V_B], k[NOW], rate, cost)
    k[state + V_A], k[state + V_B] = a, b
    if admitted:
        return ACCEPTED, 0
    if k[FLAG]:
        k[T_FLAGGED] += 1
        return ACCEPTED, 0
    return THROTTLED, 0


@inner
def asked_wait_us(k: Ints, service: int) -> int:
    """Return what the refusal just given asks the device to wait; 0: nothing said."""
    if k[RESET] or service == IP or not k[RATE]:
        return 0
    place = SERVICES_AT + service * SERVICE_SIZE
    state = SERVICES_AT + k[place + V_BUCKET] * SERVICE_SIZE
    if k[BUCKETED]:
        wait_us = bucket_retry_after_us(k[state + V_A], k[RATE], k[place + V_COST])
        wait_us = max(0, wait_us - (k[NOW] - k[state + V_B]))
    else:
        wait_us = window_retry_after_us(k[NOW])
    return retry_after_s(wait_us) * SECOND_US


# ---- behind the limiter --------------------------------------------------------------------------


@inner
def pass_on(k: Ints, message: int, service: int) -> tuple[bool, int]:
    """Send an admitted attempt upstream: (accepted, µs until the answer or the failure)."""
    place = SERVICES_AT + service * SERVICE_SIZE
    if k[place + V_DOWN]:
        return False, 0
    delay_us = k[place + V_PATH_US]
    if delay_us > k[TIMEOUT]:
        return False, k[TIMEOUT]
    if k[FAIL_PPM]:
        row = k[MESSAGES] + message * MESSAGE_SIZE
        line = k[LINES] + k[row + M_LINE] * LINE_SIZE
        where = k[k[SOURCES] + k[row + M_SOURCE] * SOURCE_SIZE + S_UPSTREAM]
        key, index = k[k[KEYS] + k[line + L_FLEET]], k[line + L_INDEX]
        drawn = chance.words(key, index, where, k[row + M_NUMBER], k[row + M_TRIES])
        if chance.below(drawn[0], MILLION) < k[FAIL_PPM]:
            return False, delay_us
    return True, delay_us


@inner
def _is_lost(k: Ints, peer: int, row: int, which: int) -> bool:
    line = k[LINES] + k[row + M_LINE] * LINE_SIZE
    source = k[SOURCES] + k[row + M_SOURCE] * SOURCE_SIZE
    where = k[source + S_MIRROR] | (k[peer + P_INDEX] << 40)
    serial = (k[row + M_TRIES] << 20) | (which // 4)
    key, index = k[k[KEYS] + k[line + L_FLEET]], k[line + L_INDEX]
    word = chance.word_of(key, index, where, k[row + M_NUMBER], serial, which % 4)
    return chance.below(word, MILLION) < k[peer + P_LOSS_PPM]


@inner
def copy(k: Ints, message: int, answer_bytes: int) -> None:
    """Copy one try of ``message`` to every peer: its request, or (>= 0) the answer."""
    row = k[MESSAGES] + message * MESSAGE_SIZE
    payload_bytes = k[row + M_UP] if answer_bytes < 0 else answer_bytes
    way = 0 if answer_bytes < 0 else 1
    count = packets(payload_bytes, k[OVERHEAD], k[MTU], k[HEADER])
    for which in range(k[N_PEERS]):
        left_bytes = payload_bytes + k[OVERHEAD]
        peer = k[PEERS] + which * PEER_SIZE
        for packet in range(count):
            part_bytes = min(left_bytes, k[MTU] - k[HEADER])
            left_bytes -= part_bytes
            outer_bytes = part_bytes + k[HEADER] + junction.GRE_BYTES
            lost = k[peer + P_DOWN] > 0
            if not lost and k[peer + P_CAPACITY] >= 0:
                capacity = k[peer + P_CAPACITY]
                window_s, used, taken = peer_take(
                    k[peer + P_WINDOW_S], k[peer + P_USED], k[NOW], capacity, outer_bytes
                )
                k[peer + P_WINDOW_S], k[peer + P_USED] = window_s, used
                lost = taken == 0
            if not lost and k[peer + P_LOSS_PPM]:
                lost = _is_lost(k, peer, row, 2 * packet + way)
            if lost:
                k[T_MIRROR_DROPPED] += 1
            else:
                k[T_MIRRORED] += outer_bytes
