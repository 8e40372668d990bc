"""The loop of a compiled VPG: commands, arrivals and agenda in one order until an instant."""

from __future__ import annotations

from typing import Final

from sim.plane.compiled import agenda, gateway, messages, sessions, steps
from sim.plane.compiled.agenda import push
from sim.plane.compiled.jit import Ints, entrance, inner, pointer
from sim.plane.compiled.layout import (
    A_DOWN,
    A_LINE,
    A_NUMBER,
    A_SOURCE,
    A_TIME,
    A_UP,
    ACCEPTED,
    ARRIVAL,
    ARRIVAL_SIZE,
    ARRIVALS,
    ARRIVALS_SIZE,
    ATTACH_ANY,
    ATTACH_DUE,
    ATTACH_IDLE,
    ATTACHED,
    ATTACHING,
    C_LINE,
    C_NOTE,
    C_WHAT,
    COMMAND,
    COMMAND_SIZE,
    CUT,
    DECIDE,
    DONE,
    E_KIND,
    E_LINE,
    E_NOTE,
    E_NOTE2,
    E_TIME,
    EPOCH,
    EXISTS,
    F_AT_START,
    FLEET_SIZE,
    FLEETS,
    FORGET_ORPHANS,
    FREE_EVENTS,
    FREE_MESSAGES,
    GHOST_ENDS,
    HEAP,
    IDLE,
    IDLE_CHECK,
    IDLE_US,
    INACTIVE,
    L_ACTIVE_US,
    L_ATTACH_NO,
    L_ATTACHES,
    L_BUSY,
    L_BUSY_NO,
    L_FLEET,
    L_GHOST,
    L_PARKED,
    L_POWER,
    L_QUEUED,
    L_RADIO,
    L_SENDING,
    L_SEQ,
    L_SESSION,
    L_STATE,
    L_STATUS,
    LENGTH_OVER,
    LINE_SIZE,
    LINES,
    M_LINE,
    M_SERIAL,
    M_WAITS_IN,
    MESSAGE_SIZE,
    MESSAGES,
    NEEDS_ROOM,
    NOTICE,
    NOTICE_DUE,
    NOW,
    NOWHERE,
    OF_MESSAGE,
    ORPHAN_ENDS,
    ORPHANS,
    PARKED,
    POWER_BACK,
    POWER_LOST,
    POWER_ON,
    QUEUE_ENDS,
    RADIO_BACK,
    RADIO_LOST,
    REATTACH,
    RELEASE,
    RELEASE_DUE,
    RETRY,
    SECOND_END,
    SILENCE,
    STACK_FULL,
    STATUS,
    SUBMIT,
    T_LOST_DEADLINE,
    THROTTLED,
    TRY_ATTACH,
)  # fmt: skip

SPARE: Final = 64
EACH: Final = 6
"""Events that one step may set at most: so many, and so many for each message its line holds."""


@inner
def _has_room(k: Ints, line: int) -> bool:
    row = k[LINES] + line * LINE_SIZE
    held = k[row + L_PARKED] + k[row + L_QUEUED]
    return k[FREE_EVENTS] > EACH * held + SPARE and k[FREE_MESSAGES] > 1


@inner
def _begin_instant(k: Ints, now_us: int) -> None:
    k[NOW] = now_us
    if now_us >= k[SECOND_END]:
        gateway.turn(k, now_us)


# ---- timers --------------------------------------------------------------------------------------


@inner
def _session_timer(k: Ints, line: int, kind: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    if kind == IDLE_CHECK:
        due_us = k[row + L_ACTIVE_US] + k[IDLE_US]
        if k[NOW] >= due_us:
            sessions.end_session(k, line)
        else:
            agenda.set_timer(k, due_us, line, agenda.SESSION_END, IDLE_CHECK, k[row + L_SEQ], 0)
    elif kind == LENGTH_OVER:
        sessions.end_session(k, line)
    elif kind == REATTACH:
        sessions.end_session(k, line)
        push(k, RELEASE, line, 0)
        sessions.start_attach(k, line, 0)
    else:
        sessions.lose_session(k, line)


@inner
def _power_on(k: Ints, line: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    k[row + L_POWER] -= 1
    sessions.refresh_sending(k, line)
    if k[row + L_SENDING] and k[row + L_ATTACHES]:
        push(k, RELEASE, line, 0)
        sessions.start_attach(k, line, 0)


@inner
def _attach_timer(k: Ints, line: int, kind: int, note: int, note2: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    if kind == ATTACH_DUE:
        if note == k[row + L_ATTACH_NO] and k[row + L_STATE] == ATTACHING:
            push(k, RELEASE, line, 0)
            push(k, TRY_ATTACH, line, 0)
        return
    fooled = k[row + L_STATE] == ATTACHED and (not k[row + L_SESSION] or k[row + L_RADIO] > 0)
    if fooled and note == k[row + L_SEQ] and note2 == k[row + L_ATTACH_NO]:
        push(k, RELEASE, line, 0)
        push(k, NOTICE, line, 0)


@inner
def _timer(k: Ints, line: int, kind: int, note: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    if kind == GHOST_ENDS:
        if k[row + L_GHOST] and note == k[row + L_SEQ]:
            k[row + L_GHOST] = 0
            gateway.forget_session(k, 1)
    elif kind == ORPHAN_ENDS:
        if k[EXISTS] and note == k[EPOCH]:
            k[ORPHANS] -= 1
            gateway.forget_session(k, 1)
    elif kind == RELEASE_DUE:
        if note == k[row + L_BUSY_NO]:
            k[row + L_BUSY] = 0
            push(k, RELEASE, line, 0)
    elif kind == POWER_ON:
        _power_on(k, line)
    elif k[row + L_SESSION] and k[row + L_SEQ] == note:
        _session_timer(k, line, kind)


@inner
def _of_message(k: Ints, message: int, kind: int, note: int) -> None:
    row = k[MESSAGES] + message * MESSAGE_SIZE
    serial, line = k[row + M_SERIAL], k[row + M_LINE]
    if kind == QUEUE_ENDS:
        if note >> 1 == serial:
            push(k, RELEASE, line, 0)
            push(k, DECIDE, message, THROTTLED if note & 1 else ACCEPTED)
    elif note == serial:
        if kind == RETRY:
            push(k, RELEASE, line, 0)
            push(k, SUBMIT, message, 0)
        elif k[row + M_WAITS_IN] != NOWHERE:
            in_flight = k[row + M_WAITS_IN] == PARKED
            messages.take_out(k, line, message)
            messages.lose(k, message, T_LOST_DEADLINE, 0, in_flight)
            push(k, RELEASE, line, 0)


# ---- commands: what events of the scenario do ----------------------------------------------------


@inner
def _silence(k: Ints, line: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    messages.cancel_all(k, line)
    k[row + L_STATE] = IDLE
    k[row + L_ATTACH_NO] += 1
    sessions.refresh_sending(k, line)


@inner
def _change_status(k: Ints, line: int, status: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    before, had_session = k[row + L_STATUS], k[row + L_SESSION]
    k[row + L_STATUS] = status
    if status >= INACTIVE:
        sessions.lose_session(k, line)
        if status > INACTIVE:
            _silence(k, line)
        if had_session:
            push(k, RELEASE, line, 0)
            sessions.start_attach(k, line, 0)
        return
    sessions.refresh_sending(k, line)
    at_start = k[k[FLEETS] + k[row + L_FLEET] * FLEET_SIZE + F_AT_START]
    if before != status and k[row + L_SENDING] and at_start and not had_session:
        push(k, RELEASE, line, 0)
        sessions.start_attach(k, line, 0)


@inner
def _radio(k: Ints, line: int, lost: bool, note: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    if lost:
        k[row + L_RADIO] += 1
        if not note:
            sessions.lose_session(k, line)
        elif k[row + L_SESSION]:
            sessions.become_ghost(k, line)
            sessions.notice_later(k, line)
        return
    k[row + L_RADIO] -= 1
    at_start = k[k[FLEETS] + k[row + L_FLEET] * FLEET_SIZE + F_AT_START]
    wants = k[row + L_STATE] != IDLE or at_start
    if k[row + L_SENDING] and wants and not k[row + L_RADIO]:
        push(k, RELEASE, line, 0)
        sessions.start_attach(k, line, note)


@inner
def _power(k: Ints, line: int, lost: bool, note: int) -> None:
    if lost:
        k[k[LINES] + line * LINE_SIZE + L_POWER] += 1
        sessions.become_ghost(k, line)
        _silence(k, line)
    elif note:
        agenda.set_timer(k, k[NOW] + note, line, agenda.ATTACH, POWER_ON, 0, 0)
    else:
        _power_on(k, line)


@inner
def _forget_orphans(k: Ints) -> None:
    while k[ORPHANS] > 0:
        gateway.forget_session(k, 1)
        k[ORPHANS] -= 1
    k[EPOCH] += 1


@inner
def _obey(k: Ints, what: int, line: int, note: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    if what == CUT:
        sessions.lose_session(k, line)
    elif what == SILENCE:
        _silence(k, line)
    elif what == ATTACH_ANY or what == ATTACH_IDLE:
        if k[row + L_SENDING] and (what == ATTACH_ANY or k[row + L_STATE] == IDLE):
            push(k, RELEASE, line, 0)
            sessions.start_attach(k, line, note)
    elif what == RADIO_LOST or what == RADIO_BACK:
        _radio(k, line, what == RADIO_LOST, note)
    elif what == POWER_LOST or what == POWER_BACK:
        _power(k, line, what == POWER_LOST, note)
    elif what == STATUS:
        _change_status(k, line, note)
    elif what == FORGET_ORPHANS:
        _forget_orphans(k)


# ---- the loop ------------------------------------------------------------------------------------


@inner
def _arrive(k: Ints, place: int) -> None:
    coming = k[ARRIVALS] + place * ARRIVAL_SIZE
    k[ARRIVAL] = place + 1
    _begin_instant(k, k[coming + A_TIME])
    line = k[coming + A_LINE]
    if k[k[LINES] + line * LINE_SIZE + L_SENDING]:
        source, number = k[coming + A_SOURCE], k[coming + A_NUMBER]
        steps.create(k, line, source, number, k[coming + A_UP], k[coming + A_DOWN])


@inner
def _next_event(k: Ints) -> None:
    row = agenda.pop(k)
    _begin_instant(k, k[row + E_TIME])
    kind, line, note, note2 = k[row + E_KIND], k[row + E_LINE], k[row + E_NOTE], k[row + E_NOTE2]
    agenda.give_back(k, row)
    if kind <= OF_MESSAGE:
        _of_message(k, note, kind, note2)
    elif kind == ATTACH_DUE or kind == NOTICE_DUE:
        _attach_timer(k, line, kind, note, note2)
    else:
        _timer(k, line, kind, note)


@inner
def _obey_all(k: Ints, order: Ints, count: int) -> int:
    while k[COMMAND] < count:
        command = k[COMMAND] * COMMAND_SIZE
        line = order[command + C_LINE]
        if not _has_room(k, line):
            return NEEDS_ROOM
        k[COMMAND] += 1
        _begin_instant(k, k[NOW])
        _obey(k, order[command + C_WHAT], line, order[command + C_NOTE])
        if not steps.settle(k):
            return STACK_FULL
    return DONE


@inner
def _run(k: Ints, until_us: int) -> int:
    while True:
        place = k[ARRIVAL]
        arrives_us, line = until_us, -1
        if place < k[ARRIVALS_SIZE]:
            arrives_us = k[k[ARRIVALS] + place * ARRIVAL_SIZE + A_TIME]
            line = k[k[ARRIVALS] + place * ARRIVAL_SIZE + A_LINE]
        arrives = arrives_us < until_us and agenda.arrival_is_next(k, arrives_us, line)
        if not arrives:
            if not agenda.any_before(k, until_us):
                k[NOW] = until_us
                return DONE
            line = k[k[k[HEAP]] + E_LINE]
        if not _has_room(k, line):
            return NEEDS_ROOM
        if arrives:
            _arrive(k, place)
        else:
            _next_event(k)
        if not steps.settle(k):
            return STACK_FULL


@entrance
def advance(memory: Ints, commands: Ints, until_us: int) -> int:
    """Do ``commands`` now, each to its end, then everything before ``until_us``.

    NEEDS_ROOM: tables must grow first, then call again with the same arguments.
    """
    k = pointer(memory)
    answer = _obey_all(k, pointer(commands), len(commands) // COMMAND_SIZE)
    if answer != DONE:
        return answer
    return _run(k, until_us)


CLOSE_ROW: Final = 0
REBASE: Final = 1
END_MINUTE: Final = 2


@entrance
def bookkeep(memory: Ints, what: int, now_us: int) -> None:
    """Close a row's peaks at ``now_us``, rebase the minute before tallies begin anew, or end it."""
    k = pointer(memory)
    if what == REBASE:
        gateway.rebase(k)
    elif what == END_MINUTE:
        gateway.end_minute(k)
    elif now_us >= k[SECOND_END]:
        gateway.turn(k, now_us)
    else:
        gateway.end_second(k)
