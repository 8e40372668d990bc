"""Reading rows and minutes out of a VPG's memory; what is read begins anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.plane.compiled import kernel
from sim.plane.compiled import layout as at
from sim.plane.flow import Flow
from vpg.errors import ensure
from vpg.rating.hourly import SERVICES
from vpg.results import MinuteRow
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from sim.plane.compiled.build import Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a row held, and the books of Little's law for its time."""

    flow: Flow
    events: int
    area_message_us: int
    sojourn_message_us: int


def events_of_row(memory: Memory) -> int:
    """Return the attempts and attach attempts of the running row."""
    head = memory.head
    attempts = head[at.T_ATTEMPTS : at.T_ATTEMPTS + at.N_SERVICES].sum()
    return int(attempts + head[at.T_ATTACHES])


def take_row(memory: Memory) -> Taken:
    """Close the running row now, and let the next one begin."""
    head, tally, now_us = memory.head, memory.tally, int(memory.head[at.NOW])
    kernel.bookkeep(memory.flat, kernel.CLOSE_ROW, now_us)
    figures = {name: int(value) for name, value in zip(at.SCALARS, tally, strict=False)}
    places = iter(range(len(at.SCALARS), at.TALLY_SIZE))
    for name in at.PER_SERVICE:
        for service in SERVICES:
            figures[f"{name}_{service}"] = int(tally[next(places)])
    figures["sessions_end"] = int(head[at.SESSIONS])
    figures["pending_end"] = int(head[at.PENDING])
    delays = {int(bucket): int(memory.delays[bucket]) for bucket in memory.delays.nonzero()[0]}
    # Books of one row end with it, so that rows computed apart add up.
    head[at.AREA] += head[at.PENDING] * (now_us - head[at.PENDING_SINCE])
    head[at.PENDING_SINCE] = now_us
    taken = Taken(
        flow=Flow(figures, delays),
        events=events_of_row(memory),
        area_message_us=int(head[at.AREA]),
        sojourn_message_us=int(head[at.SOJOURN]),
    )
    kernel.bookkeep(memory.flat, kernel.REBASE, now_us)
    begin_row(memory)
    # Distinct lines are counted by the clock hour, whatever rows it is cut into.
    head[at.T_INSPECTED] = figures["lines_inspected"] if now_us % HOUR_US else 0
    return taken


def begin_row(memory: Memory) -> None:
    """Count from nothing; what goes on, goes on."""
    head = memory.head
    memory.tally[:] = 0
    memory.delays[:] = 0
    head[at.AREA] = head[at.SOJOURN] = 0
    head[at.T_SESSIONS_START] = head[at.T_LINES_PEAK] = head[at.SESSIONS]
    head[at.T_GHOSTS_PEAK] = head[at.GHOSTS]
    head[at.T_PENDING_START] = head[at.PENDING]


def take_minutes(memory: Memory, vpg_id: str, *, final: bool = False) -> list[MinuteRow]:
    """Return the minutes finished since the last call; ``final``: the running one too."""
    if final:
        kernel.bookkeep(memory.flat, kernel.END_MINUTE, int(memory.head[at.NOW]))
    count = int(memory.head[at.MINUTES_SIZE])
    ensure(count < at.MINUTE_ROWS, "minutes are taken before their table is full")
    memory.head[at.MINUTES_SIZE] = 0
    return [
        MinuteRow(vpg_id=vpg_id, **dict(zip(at.MINUTE_ROW, row, strict=True)))
        for row in memory.minutes[:count].tolist()
    ]
