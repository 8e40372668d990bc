"""What happens at one instant, step by step: tries, decisions, attaches, and what follows of them.

The reference plane says this with methods that call each other; here each is a step, and what it
calls last goes on a stack. So every compiled function stays small, and nothing recurses.
"""

from __future__ import annotations

from sim.plane.compiled import agenda, chance, gateway, messages, sessions
from sim.plane.compiled.agenda import push
from sim.plane.compiled.jit import Ints, inner
from sim.plane.compiled.layout import (
    ACCEPTED,
    ATTACHED,
    ATTACHING,
    CUT_BYTES,
    DECIDE,
    DECISION_EXPIRES,
    DELAYS_AT,
    F_HOLDS,
    F_INDEPENDENT,
    F_RETRY,
    FLEET_SIZE,
    FLEETS,
    IDLE,
    INSPECTING,
    KEYS,
    L_ACTIVE_US,
    L_ATTACHES,
    L_BUSY,
    L_FLEET,
    L_GAVE_UP,
    L_INDEX,
    L_INSPECTED,
    L_PARK_HEAD,
    L_PARK_TAIL,
    L_PARKED,
    L_QUEUE_HEAD,
    L_RADIO,
    L_SESSION,
    L_STATE,
    LINE_SIZE,
    LINES,
    M_CREATED,
    M_DOWN,
    M_LINE,
    M_NEXT,
    M_NUMBER,
    M_SERIAL,
    M_SOURCE,
    M_TRIES,
    M_UP,
    M_WAITS_IN,
    MESSAGE_SIZE,
    MESSAGES,
    MIRROR_ON,
    MIRROR_THROTTLED,
    NO_SESSION,
    NOTICE,
    NOW,
    NOWHERE,
    PARKED,
    PARKED_REST,
    PLAIN,
    POLICIES,
    POLICY_SIZE,
    Q_DEADLINE_US,
    Q_JITTER_PPM,
    Q_RETRY_AFTER,
    QUEUE_ENDS,
    QUEUED,
    RELEASE,
    RETRY,
    S_RETRY,
    S_SERVICE,
    SOURCE_SIZE,
    SOURCES,
    STACK_AT,
    STACK_ROWS,
    STACK_SIZE,
    STEP_SIZE,
    SUBMIT,
    SUBMIT_PARKED,
    SUBMITTED,
    T_ACCEPTED,
    T_ATTEMPTS,
    T_BYTES_DOWN,
    T_BYTES_UP,
    T_DELIVERED,
    T_FAILED,
    T_INSPECTED,
    T_LOST_BUFFER,
    T_LOST_DEADLINE,
    T_LOST_TRIES,
    T_NO_SESSION,
    T_OFFERED,
    T_THROTTLED,
    THROTTLED,
    TRY,
    TRY_ATTACH,
    WAITING,
)  # fmt: skip
from vpg.timebase import HOUR_US


@inner
def _fail(k: Ints, message: int, asked_us: int, path_us: int) -> None:
    row = k[MESSAGES] + message * MESSAGE_SIZE
    line = k[LINES] + k[row + M_LINE] * LINE_SIZE
    fleet = k[line + L_FLEET]
    which = k[k[FLEETS] + fleet * FLEET_SIZE + F_RETRY]
    policy = k[POLICIES] + which * POLICY_SIZE
    nth = k[row + M_TRIES]
    key = k[k[KEYS] + fleet]
    place = nth - 1
    where = k[k[SOURCES] + k[row + M_SOURCE] * SOURCE_SIZE + S_RETRY]
    word = chance.words(0, 0, 0, 0, 0)[0]
    if k[policy + Q_JITTER_PPM]:
        word = chance.word_of(
            key, k[line + L_INDEX], where, k[row + M_NUMBER], place // 4, place % 4
        )
    delay_us = chance.retry_delay_us(k, which, nth, asked_us, word)
    if delay_us < 0:
        messages.lose(k, message, T_LOST_TRIES, path_us, True)
        return
    at_us = k[NOW] + path_us + delay_us
    deadline_us = k[policy + Q_DEADLINE_US]
    if deadline_us >= 0 and at_us > k[row + M_CREATED] + deadline_us:
        messages.lose(k, message, T_LOST_DEADLINE, path_us, True)
        return
    agenda.set_try(k, at_us, message, RETRY, k[row + M_SERIAL])


@inner
def _throttled(k: Ints, message: int, service: int) -> None:
    k[T_THROTTLED + service] += 1
    if k[MIRROR_ON] and k[MIRROR_THROTTLED]:
        gateway.copy(k, message, -1)
        gateway.copy(k, message, 0)
    row = k[MESSAGES] + message * MESSAGE_SIZE
    fleet = k[k[LINES] + k[row + M_LINE] * LINE_SIZE + L_FLEET]
    which = k[k[FLEETS] + fleet * FLEET_SIZE + F_RETRY]
    asked_us = 0
    if k[k[POLICIES] + which * POLICY_SIZE + Q_RETRY_AFTER]:
        asked_us = gateway.asked_wait_us(k, service)
    _fail(k, message, asked_us, 0)


@inner
def _admitted(k: Ints, message: int, service: int) -> None:
    row = k[MESSAGES] + message * MESSAGE_SIZE
    delivered, path_us = True, 0
    if not k[PLAIN]:
        delivered, path_us = gateway.pass_on(k, message, service)
    if k[MIRROR_ON]:
        gateway.copy(k, message, -1)
    if not delivered:
        k[T_FAILED + service] += 1
        _fail(k, message, 0, path_us)
        return
    k[T_ACCEPTED + service] += 1
    k[T_BYTES_UP] += k[row + M_UP]
    k[T_BYTES_DOWN] += k[row + M_DOWN]
    if k[MIRROR_ON]:
        gateway.copy(k, message, k[row + M_DOWN])
    k[T_DELIVERED] += 1
    messages.count_delay(k, k[NOW] - k[row + M_CREATED] + path_us)
    line, size_bytes = k[row + M_LINE], k[row + M_UP] + k[row + M_DOWN]
    messages.close_message(k, message)
    sessions.count_bytes(k, line, size_bytes)
    messages.free(k, line, path_us)


@inner
def _decide(k: Ints, message: int, outcome: int) -> None:
    row = k[MESSAGES] + message * MESSAGE_SIZE
    service = k[k[SOURCES] + k[row + M_SOURCE] * SOURCE_SIZE + S_SERVICE]
    k[T_ATTEMPTS + service] += 1
    if outcome == ACCEPTED:
        _admitted(k, message, service)
    elif outcome == THROTTLED:
        _throttled(k, message, service)
    else:
        k[T_NO_SESSION + service] += 1
        line = k[row + M_LINE]
        if k[k[LINES] + line * LINE_SIZE + L_STATE] == ATTACHED:
            push(k, NOTICE, line, 0)
        _fail(k, message, 0, 0)


@inner
def decided_or_waiting(k: Ints, message: int, decision: int, wait_us: int) -> None:
    """Let a decision stand now, or when the limiter's queue says."""
    if decision == WAITING or decision == DECISION_EXPIRES:
        expires = 1 if decision == DECISION_EXPIRES else 0
        note = k[k[MESSAGES] + message * MESSAGE_SIZE + M_SERIAL] * 2 + expires
        agenda.set_try(k, k[NOW] + wait_us, message, QUEUE_ENDS, note)
    else:
        push(k, DECIDE, message, decision)


@inner
def _try(k: Ints, message: int) -> None:
    row = k[MESSAGES] + message * MESSAGE_SIZE
    k[row + M_TRIES] += 1
    line = k[LINES] + k[row + M_LINE] * LINE_SIZE
    if k[line + L_STATE] != ATTACHED or not k[line + L_SESSION] or k[line + L_RADIO]:
        push(k, DECIDE, message, NO_SESSION)
        return
    k[line + L_ACTIVE_US] = k[NOW]
    hour = k[NOW] // HOUR_US
    if k[INSPECTING] and k[line + L_INSPECTED] != hour:
        k[line + L_INSPECTED] = hour
        k[T_INSPECTED] += 1
    service = k[k[SOURCES] + k[row + M_SOURCE] * SOURCE_SIZE + S_SERVICE]
    decision, wait_us = gateway.ask(k, service)
    decided_or_waiting(k, message, decision, wait_us)


@inner
def _submit(k: Ints, message: int, tried: bool) -> None:
    """Try a message, attaching first where the device knows that it must and has not ``tried``."""
    line = k[k[MESSAGES] + message * MESSAGE_SIZE + M_LINE]
    row = k[LINES] + line * LINE_SIZE
    if not tried and k[row + L_STATE] == IDLE and not k[row + L_GAVE_UP] and k[row + L_ATTACHES]:
        push(k, SUBMITTED, message, 0)
        sessions.start_attach(k, line, 0)
    elif k[row + L_STATE] != ATTACHING:
        push(k, TRY, message, 0)
    elif messages.has_buffer(k, line):
        messages.wait_in(k, line, message, PARKED)
    else:
        messages.lose(k, message, T_LOST_BUFFER, 0, True)


@inner
def _submit_parked(k: Ints, line: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    first = k[row + L_PARK_HEAD]
    k[row + L_PARK_HEAD], k[row + L_PARK_TAIL], k[row + L_PARKED] = -1, -1, 0
    if first >= 0:
        push(k, PARKED_REST, first, 0)


@inner
def _parked_rest(k: Ints, message: int) -> None:
    row = k[MESSAGES] + message * MESSAGE_SIZE
    after, line = k[row + M_NEXT], k[row + M_LINE]
    if after >= 0:
        push(k, PARKED_REST, after, 0)
    k[row + M_WAITS_IN] = NOWHERE
    if k[k[LINES] + line * LINE_SIZE + L_STATE] == ATTACHING:
        messages.append(k, line, message, PARKED)
    else:
        push(k, TRY, message, 0)


@inner
def _release(k: Ints, line: int) -> None:
    row = k[LINES] + line * LINE_SIZE
    message = k[row + L_QUEUE_HEAD]
    if message >= 0 and not k[row + L_BUSY]:
        push(k, RELEASE, line, 0)
        messages.take_out(k, line, message)
        messages.occupy(k, line)
        push(k, SUBMIT, message, 0)


@inner
def _step(k: Ints, what: int, a: int, b: int) -> None:
    if what == DECIDE:
        _decide(k, a, b)
    elif what == TRY:
        _try(k, a)
    elif what == SUBMIT:
        _submit(k, a, False)
    elif what == SUBMITTED:
        _submit(k, a, True)
    elif what == RELEASE:
        _release(k, a)
    elif what == TRY_ATTACH:
        sessions.try_attach(k, a)
    elif what == SUBMIT_PARKED:
        _submit_parked(k, a)
    elif what == PARKED_REST:
        _parked_rest(k, a)
    else:
        sessions.notice(k, a)


@inner
def settle(k: Ints) -> bool:
    """Do every step of this instant; return whether the stack was large enough."""
    while k[STACK_SIZE] > 0:
        if k[STACK_SIZE] > STACK_ROWS - 8:
            return False
        k[STACK_SIZE] -= 1
        row = STACK_AT + k[STACK_SIZE] * STEP_SIZE
        _step(k, k[row], k[row + 1], k[row + 2])
    return True


@inner
def create(k: Ints, line: int, source: int, number: int, up: int, down: int) -> None:
    """Let the device want one more message delivered."""
    k[T_OFFERED] += 1
    row = k[LINES] + line * LINE_SIZE
    k[row + L_GAVE_UP] = 0
    fleet = k[FLEETS] + k[row + L_FLEET] * FLEET_SIZE
    free = k[fleet + F_INDEPENDENT]
    plain = k[PLAIN] and not k[MIRROR_ON] and not k[INSPECTING] and not k[CUT_BYTES]
    if plain and free and k[row + L_SESSION] and k[row + L_STATE] == ATTACHED:
        # What nearly every message does: one try, admitted at once, nothing to remember.
        service = k[k[SOURCES] + source * SOURCE_SIZE + S_SERVICE]
        k[row + L_ACTIVE_US] = k[NOW]
        decision, wait_us = gateway.ask(k, service)
        if decision == ACCEPTED:
            k[T_ATTEMPTS + service] += 1
            k[T_ACCEPTED + service] += 1
            k[T_BYTES_UP] += up
            k[T_BYTES_DOWN] += down
            k[T_DELIVERED] += 1
            k[DELAYS_AT] += 1
            return
        message = messages.open_message(k, line, source, number, up, down)
        k[k[MESSAGES] + message * MESSAGE_SIZE + M_TRIES] = 1
        decided_or_waiting(k, message, decision, wait_us)
        return
    message = messages.open_message(k, line, source, number, up, down)
    if free:
        push(k, SUBMIT, message, 0)
    elif not k[row + L_BUSY]:
        messages.occupy(k, line)
        push(k, RELEASE, line, 0)
        push(k, SUBMIT, message, 0)
    elif k[fleet + F_HOLDS] and messages.has_buffer(k, line):
        messages.wait_in(k, line, message, QUEUED)
    else:
        messages.lose(k, message, T_LOST_BUFFER, 0, False)
