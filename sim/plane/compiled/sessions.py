"""Sessions of a line, compiled: attaching and losing (twin of ``sim.plane.session``).

Each function has the name of the method it is the twin of; the comments that say why stand there.
"""

from __future__ import annotations

from typing import Final

from sim.plane.compiled import agenda, chance, gateway
from sim.plane.compiled.agenda import push
from sim.plane.compiled.jit import Ints, inner
from sim.plane.compiled.layout import (
    ATTACH_DUE,
    ATTACHED,
    ATTACHING,
    BY_IDLE,
    BY_LENGTH,
    CUT_BYTES,
    CUT_US,
    EPOCH,
    EXISTS,
    F_ATTACH_RETRY,
    F_DURATION,
    F_DURATION_US,
    F_NOTICE_US,
    F_REATTACH_US,
    FLEET_SIZE,
    FLEETS,
    GHOST_ENDS,
    GHOSTS,
    IDLE,
    IDLE_CHECK,
    IDLE_US,
    INACTIVE,
    KEYS,
    L_ACTIVE_US,
    L_ATTACH_BEGAN,
    L_ATTACH_NO,
    L_ATTACH_TRIES,
    L_ATTACHES,
    L_BYTES,
    L_EVICTED,
    L_FLEET,
    L_GAVE_UP,
    L_GHOST,
    L_INDEX,
    L_POWER,
    L_RADIO,
    L_SENDING,
    L_SEQ,
    L_SESSION,
    L_STATE,
    L_STATUS,
    LENGTH_OVER,
    LINE_SIZE,
    LINES,
    NOTICE_DUE,
    NOW,
    ORPHAN_ENDS,
    ORPHANS,
    POLICIES,
    POLICY_SIZE,
    Q_DEADLINE_US,
    REATTACH,
    REPLACE_GHOSTS,
    SECOND_ATTACHES,
    SESSIONS,
    SUBMIT_PARKED,
    T_ATTACHES,
    T_DELETED,
    T_REFUSED,
    T_REJECTED,
    T_SESSIONS_FLAGGED,
    TOO_LONG,
    TRY_ATTACH,
)  # fmt: skip
from sim.traffic.draws import Purpose, place
from vpg.gateway import lines

_ATTACH_PLACE: Final = place(Purpose.ATTACH_RETRY)
_LENGTH_PLACE: Final = place(Purpose.SESSION_LENGTH)


# ---- losing --------------------------------------------------------------------------------------


@inner
def notice_later(k: Ints, line: int) -> None:
    """Let the device notice after its own time that its session is gone."""
    row = k[LINES] + line * LINE_SIZE
    notice_us = k[k[FLEETS] + k[row + L_FLEET] * FLEET_SIZE + F_NOTICE_US]
    if notice_us < 0 or k[row + L_STATE] != ATTACHED:
        return
    at_us = k[NOW] + notice_us
    agenda.set_timer(
        k, at_us, line, agenda.NOTICE, NOTICE_DUE, k[row + L_SEQ], k[row + L_ATTACH_NO]
    )


@inner
def lose_session(k: Ints, line: int) -> None:
    """Let the platform delete the session (or ghost); the device does not know."""
    row = k[LINES] + line * LINE_SIZE
    if k[row + L_GHOST]:
        k[row + L_GHOST] = 0
        gateway.forget_session(k, 1)
        return
    if not k[row + L_SESSION]:
        return
    k[row + L_SESSION] = 0
    k[row + L_SEQ] += 1
    gateway.forget_session(k, 0)
    notice_later(k, line)


@inner
def end_session(k: Ints, line: int) -> None:
    """End a session with the device's knowledge."""
    row = k[LINES] + line * LINE_SIZE
    if not k[row + L_SESSION]:
        return
    k[row + L_SESSION] = 0
    k[row + L_SEQ] += 1
    gateway.forget_session(k, 0)
    if k[row + L_STATE] == ATTACHED:
        k[row + L_STATE] = IDLE


@inner
def become_ghost(k: Ints, line: int) -> None:
    """Let the device go without detaching."""
    row = k[LINES] + line * LINE_SIZE
    if not k[row + L_SESSION]:
        return
    k[row + L_SESSION] = 0
    k[row + L_GHOST] = 1
    k[row + L_SEQ] += 1
    gateway.note_ghost(k)
    if k[IDLE_US]:
        at_us = max(k[row + L_ACTIVE_US] + k[IDLE_US], k[NOW])
        agenda.set_timer(k, at_us, line, agenda.SESSION_END, GHOST_ENDS, k[row + L_SEQ], 0)


@inner
def _disown_ghost(k: Ints, line: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    k[row + L_GHOST] = 0
    k[ORPHANS] += 1
    if k[IDLE_US]:
        at_us = max(k[row + L_ACTIVE_US] + k[IDLE_US], k[NOW])
        agenda.set_timer(k, at_us, line, agenda.SESSION_END, ORPHAN_ENDS, k[EPOCH], 0)


@inner
def count_bytes(k: Ints, line: int, size_bytes: int) -> None:
    """Count what a session moved, and cut it when that is too much (A-28)."""
    if not k[CUT_BYTES]:
        return
    row = k[LINES] + line * LINE_SIZE
    k[row + L_BYTES] += size_bytes
    if k[row + L_SESSION] and k[row + L_BYTES] > k[CUT_BYTES]:
        lose_session(k, line)


# ---- attaching -----------------------------------------------------------------------------------

_CREATED, _REFUSED, _FOR_GOOD = range(3)


@inner
def _evicts(k: Ints) -> bool:
    victim = gateway.longest_idle(k)
    if victim < 0:
        return False
    k[victim + L_EVICTED] = 1
    lose_session(k, (victim - k[LINES]) // LINE_SIZE)
    return True


@inner
def _decide_attach(k: Ints, line: int) -> int:
    row = k[LINES] + line * LINE_SIZE
    k[T_ATTACHES] += 1
    k[SECOND_ATTACHES] += 1
    if k[row + L_STATUS] > INACTIVE:
        k[T_REJECTED] += 1
        return _FOR_GOOD
    if k[row + L_STATUS] == INACTIVE or not gateway.setup_has_room(k):
        k[T_REJECTED] += 1
        return _REFUSED
    if k[row + L_GHOST]:
        if k[REPLACE_GHOSTS]:
            k[row + L_GHOST] = 0
            k[GHOSTS] -= 1
            k[SESSIONS] -= 1
            k[T_DELETED] += 1
            gateway.create_session(k)
            return _CREATED
        _disown_ghost(k, line)
    decision = gateway.cap_decision(k, row)
    if decision == lines.CREATED_FLAGGED:
        k[T_SESSIONS_FLAGGED] += 1
    if decision == lines.REFUSED or (decision == lines.CREATED_EVICT and not _evicts(k)):
        k[T_REFUSED] += 1
        return _REFUSED
    gateway.create_session(k)
    return _CREATED


@inner
def _attached(k: Ints, line: int) -> None:
    now_us, row = k[NOW], k[LINES] + line * LINE_SIZE
    k[row + L_STATE], k[row + L_SESSION], k[row + L_ATTACHES] = ATTACHED, 1, 1
    k[row + L_EVICTED], k[row + L_BYTES], k[row + L_ACTIVE_US] = 0, 0, now_us
    k[row + L_SEQ] += 1
    sequence = k[row + L_SEQ]
    fleet = k[FLEETS] + k[row + L_FLEET] * FLEET_SIZE
    kind, length_us = LENGTH_OVER, k[fleet + F_DURATION_US]
    if k[fleet + F_DURATION] == BY_IDLE:
        kind, length_us = IDLE_CHECK, k[IDLE_US]
    elif k[fleet + F_DURATION] != BY_LENGTH:
        key = k[k[KEYS] + k[row + L_FLEET]]
        drawn = chance.words(key, k[row + L_INDEX], _LENGTH_PLACE, sequence, 0)
        length_us = max(1, chance.exponential(k, drawn[0], drawn[1], length_us))
    # An idle timeout of 0 means that there is none.
    if kind == LENGTH_OVER or length_us:
        agenda.set_timer(k, now_us + length_us, line, agenda.SESSION_END, kind, sequence, 0)
    again_us = k[fleet + F_REATTACH_US]
    if again_us >= 0:
        agenda.set_timer(k, now_us + again_us, line, agenda.SESSION_END, REATTACH, sequence, 0)
    if k[CUT_US] >= 0:
        agenda.set_timer(k, now_us + k[CUT_US], line, agenda.SESSION_END, TOO_LONG, sequence, 0)


@inner
def refused(k: Ints, line: int, for_good: bool) -> None:
    """Plan the next attach try, or give up: what is parked is then tried in vain."""
    row = k[LINES] + line * LINE_SIZE
    policy = k[k[FLEETS] + k[row + L_FLEET] * FLEET_SIZE + F_ATTACH_RETRY]
    k[row + L_ATTACH_TRIES] += 1
    nth = k[row + L_ATTACH_TRIES]
    delay_us = -1
    if not for_good:
        key = k[k[KEYS] + k[row + L_FLEET]]
        drawn = chance.words(key, k[row + L_INDEX], _ATTACH_PLACE, k[row + L_ATTACH_NO], nth)
        delay_us = chance.retry_delay_us(k, policy, nth, 0, drawn[0])
    at_us = k[NOW] + delay_us
    deadline_us = k[k[POLICIES] + policy * POLICY_SIZE + Q_DEADLINE_US]
    late = deadline_us >= 0 and at_us > k[row + L_ATTACH_BEGAN] + deadline_us
    if delay_us < 0 or late:
        k[row + L_STATE] = IDLE
        k[row + L_GAVE_UP] = 1
        push(k, SUBMIT_PARKED, line, 0)
        return
    agenda.set_timer(k, at_us, line, agenda.ATTACH, ATTACH_DUE, k[row + L_ATTACH_NO], 0)


@inner
def try_attach(k: Ints, line: int) -> None:
    """Try to attach now; what is parked goes on when the answer stands."""
    row = k[LINES] + line * LINE_SIZE
    if k[row + L_RADIO] or not k[EXISTS]:
        return
    decision = _decide_attach(k, line)
    if decision == _CREATED:
        _attached(k, line)
        push(k, SUBMIT_PARKED, line, 0)
    else:
        refused(k, line, decision == _FOR_GOOD)


@inner
def start_attach(k: Ints, line: int, delay_us: int) -> None:
    """Begin a new attach procedure, its first try after ``delay_us``."""
    row = k[LINES] + line * LINE_SIZE
    k[row + L_ATTACH_NO] += 1
    k[row + L_ATTACH_TRIES] = 0
    k[row + L_ATTACH_BEGAN] = k[NOW] + delay_us
    k[row + L_GAVE_UP] = 0
    k[row + L_STATE] = ATTACHING
    if delay_us:
        at_us = k[NOW] + delay_us
        agenda.set_timer(k, at_us, line, agenda.ATTACH, ATTACH_DUE, k[row + L_ATTACH_NO], 0)
    else:
        push(k, TRY_ATTACH, line, 0)


@inner
def notice(k: Ints, line: int) -> None:
    """Let the device learn that its session is of no use, and begin to attach."""
    row = k[LINES] + line * LINE_SIZE
    k[row + L_STATE] = IDLE
    if k[row + L_EVICTED]:
        k[row + L_ATTACH_NO] += 1
        k[row + L_ATTACH_TRIES] = 0
        k[row + L_ATTACH_BEGAN] = k[NOW]
        k[row + L_STATE] = ATTACHING
        refused(k, line, False)
    else:
        start_attach(k, line, 0)


@inner
def refresh_sending(k: Ints, line: int) -> None:
    """Recompute whether the device creates messages."""
    row = k[LINES] + line * LINE_SIZE
    alive = k[row + L_STATUS] <= INACTIVE
    k[row + L_SENDING] = 1 if alive and not k[row + L_POWER] and k[EXISTS] else 0
