"""The agenda of a VPG: events in the total order of ``sim.plane.alarm``, and the stack of steps."""

from __future__ import annotations

from typing import Final

from sim.plane import alarm
from sim.plane.compiled.jit import Ints, inner
from sim.plane.compiled.layout import (
    E_AGE,
    E_KIND,
    E_LINE,
    E_NOTE,
    E_NOTE2,
    E_ORDER,
    E_SEQUENCE,
    E_TIME,
    FREE_EVENT,
    FREE_EVENTS,
    HEAP,
    HEAP_SIZE,
    M_CREATED,
    M_LINE,
    M_NUMBER,
    M_SOURCE,
    M_TRIES,
    MESSAGE_SIZE,
    MESSAGES,
    S_RANK,
    SEQUENCE,
    SOURCE_SIZE,
    SOURCES,
    STACK_AT,
    STACK_SIZE,
    START,
    STEP_SIZE,
)  # fmt: skip

_NUMBER_MASK: Final = (1 << 12) - 1
SESSION_END, NOTICE, ATTACH, RELEASE = alarm.SESSION_END, alarm.NOTICE, alarm.ATTACH, alarm.RELEASE


@inner
def _before(k: Ints, a: int, b: int) -> bool:
    if k[a + E_TIME] != k[b + E_TIME]:
        return k[a + E_TIME] < k[b + E_TIME]
    if k[a + E_LINE] != k[b + E_LINE]:
        return k[a + E_LINE] < k[b + E_LINE]
    if k[a + E_AGE] != k[b + E_AGE]:
        return k[a + E_AGE] < k[b + E_AGE]
    if k[a + E_ORDER] != k[b + E_ORDER]:
        return k[a + E_ORDER] < k[b + E_ORDER]
    return k[a + E_SEQUENCE] < k[b + E_SEQUENCE]


@inner
def pop(k: Ints) -> int:
    """Take the first event off the agenda and return its row, good until the next ``_put``."""
    heap = k[HEAP]
    first = k[heap]
    k[HEAP_SIZE] -= 1
    size = k[HEAP_SIZE]
    if size > 0:
        moved = k[heap + size]
        place = 0
        while True:
            child = 2 * place + 1
            if child >= size:
                break
            if child + 1 < size and _before(k, k[heap + child + 1], k[heap + child]):
                child += 1
            if not _before(k, k[heap + child], moved):
                break
            k[heap + place] = k[heap + child]
            place = child
        k[heap + place] = moved
    return first


@inner
def give_back(k: Ints, row: int) -> None:
    """Free an event's row."""
    k[row + E_NOTE2] = k[FREE_EVENT]
    k[FREE_EVENT] = row
    k[FREE_EVENTS] += 1


@inner
def put(
    k: Ints, at_us: int, line: int, age: int, order: int, kind: int, note: int, note2: int
) -> None:
    """Put an event on the agenda."""
    row = k[FREE_EVENT]
    k[FREE_EVENT] = k[row + E_NOTE2]
    k[FREE_EVENTS] -= 1
    k[SEQUENCE] += 1
    k[row + E_TIME] = at_us
    k[row + E_LINE] = line
    k[row + E_AGE] = age
    k[row + E_ORDER] = order
    k[row + E_SEQUENCE] = k[SEQUENCE]
    k[row + E_KIND] = kind
    k[row + E_NOTE] = note
    k[row + E_NOTE2] = note2
    heap, place = k[HEAP], k[HEAP_SIZE]
    k[HEAP_SIZE] += 1
    while place > 0:
        parent = (place - 1) >> 1
        if not _before(k, row, k[heap + parent]):
            break
        k[heap + place] = k[heap + parent]
        place = parent
    k[heap + place] = row


@inner
def set_timer(k: Ints, at_us: int, line: int, order: int, kind: int, note: int, note2: int) -> None:
    """Set a timer of ``line``; ``order`` is its place among the line's timers."""
    put(k, at_us, line, 0, order, kind, note, note2)


@inner
def set_try(k: Ints, at_us: int, message: int, kind: int, note2: int) -> None:
    """Set an event of a message: older messages of the line come first."""
    row = k[MESSAGES] + message * MESSAGE_SIZE
    rank = k[k[SOURCES] + k[row + M_SOURCE] * SOURCE_SIZE + S_RANK]
    order = (rank << 32) | ((k[row + M_NUMBER] & _NUMBER_MASK) << 20) | (k[row + M_TRIES] + 8)
    # A message created in the run's first microsecond still comes after the line's timers.
    age = k[row + M_CREATED] - k[START]
    put(k, at_us, k[row + M_LINE], age, order, kind, message, note2)


@inner
def arrival_is_next(k: Ints, at_us: int, line: int) -> bool:
    """Return whether a message that ``line`` creates at ``at_us`` comes before the agenda."""
    if k[HEAP_SIZE] == 0:
        return True
    first = k[k[HEAP]]
    if at_us != k[first + E_TIME]:
        return at_us < k[first + E_TIME]
    return line < k[first + E_LINE]


@inner
def any_before(k: Ints, until_us: int) -> bool:
    """Return whether the agenda has anything before ``until_us``."""
    return k[HEAP_SIZE] > 0 and k[k[k[HEAP]] + E_TIME] < until_us


@inner
def push(k: Ints, what: int, a: int, b: int) -> None:
    """Let a step be done next, at this very instant."""
    row = STACK_AT + k[STACK_SIZE] * STEP_SIZE
    k[row], k[row + 1], k[row + 2] = what, a, b
    k[STACK_SIZE] += 1
