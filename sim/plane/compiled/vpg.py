"""One compiled VPG: its memory, and what is easier said in Python.

Owns: loading arrivals, commands for lines, the path behind the limiter, reading rows out. Does not
own: what happens between two instants (``kernel``). Times: ``SimUs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scenarios import model
from sim.plane.compiled import build, kernel, rows
from sim.plane.compiled import layout as at
from sim.plane.compiled.ahead import SEGMENT_HOURS, Ahead
from sim.plane.compiled.choice import chosen, ramps_us
from sim.plane.compiled.philox import words_of
from sim.plane.compiled.steady import (
    LEAST_US,
    Steady,
    countable,
    members_of,
    steady_until_us,
)
from sim.plane.flow import Flow, Little
from sim.traffic.arrivals import Stream
from sim.traffic.draws import stream_key
from vpg.errors import ensure
from vpg.gateway import limiter
from vpg.rating.hourly import SERVICES
from vpg.timebase import HOUR_US, MINUTE_US, hour_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sim.plane.compiled.jit import Ints
    from sim.traffic.arrivals import Batch
    from sim.traffic.draws import Purpose
    from vpg.catalogue.model import Limits
    from vpg.results import MinuteRow

_NO_COMMANDS: Final = np.empty(0, np.int64)
_LOOK_US: Final = MINUTE_US
"""How often to look whether a VPG has become steady."""


class FleetTable:
    """A fleet on a compiled VPG: its lines are the table's rows from ``base`` on."""

    def __init__(self, *, fleet: model.Fleet, base: int, first_source: int, key: int) -> None:
        """Describe a fleet none of whose lines has joined yet."""
        self.fleet = fleet
        self.base = base
        self.key = key
        self.joined = 0
        self.streams: list[Stream] = []
        self.first_source = first_source


def _fleet_tables(
    scenario: model.Scenario, replication: int, fleets: Sequence[model.Fleet], sizes: Sequence[int]
) -> dict[str, FleetTable]:
    """Return the tables of ``fleets`` by name, one behind the other, with room for ``sizes``."""
    tables: dict[str, FleetTable] = {}
    base = first_source = 0
    for fleet, size in zip(fleets, sizes, strict=True):
        key = stream_key(scenario.seed, replication, fleet.name)
        table = FleetTable(fleet=fleet, base=base, first_source=first_source, key=key)
        given: dict[str, Any] = {"seed": scenario.seed, "replication": replication, "fleet": fleet}
        table.streams = [
            Stream(**given, source=source, words=words_of)
            for source in sorted(fleet.traffic, key=lambda source: source.name)
        ]
        tables[fleet.name] = table
        base += size
        first_source += len(table.streams)
    return tables


class CompiledVpg:
    """A VPG while it exists."""

    def __init__(
        self,
        *,
        scenario: model.Scenario,
        replication: int,
        vpg: model.Vpg,
        limits: Limits,
        joined: Mapping[str, int],
        now_us: int,
        ahead: Ahead,
    ) -> None:
        """Create it at ``now_us``; ``joined``: lines of each fleet by now, growth included.

        ``ahead``: who computes hours before they are asked for.
        """
        self.vpg = vpg
        self._end_us = scenario.end_us
        bound = [fleet for fleet in scenario.fleets if fleet.vpg_id == vpg.id]
        bound.sort(key=lambda fleet: fleet.name)
        growth = [event for event in scenario.events if isinstance(event, model.Growth)]
        sizes = [
            fleet.lines + sum(event.lines for event in growth if event.fleet == fleet.name)
            for fleet in bound
        ]
        self.memory = build.memory_of(
            scenario=scenario,
            replication=replication,
            vpg=vpg,
            limits=limits,
            fleets=bound,
            sizes=sizes,
            now_us=now_us,
        )
        self.fleets = _fleet_tables(scenario, replication, bound, sizes)
        self.mirroring, self.inspecting = vpg.mirroring, vpg.inspection
        self.redirecting, self.redirection_down = vpg.redirection, 0
        self.down = [0] * len(SERVICES)
        self.slow_us = [0] * len(SERVICES)
        self._loaded_until_us = now_us
        self._steady_until_us = now_us
        self._events_before = 0
        self._area_message_us = 0
        self._sojourn_message_us = 0
        self._steady: Steady | None = None
        self._ahead = ahead
        self._asked_for: rows.Taken | None = None
        self._minutes: list[MinuteRow] = []
        self.quiet_until_us = now_us
        """Until when nothing but hour ticks comes from outside."""
        self._countable = countable(vpg, self.fleets)
        self._look_again_us = now_us
        self.refresh_path()
        for fleet in bound:
            self.join(fleet.name, fleet.lines, fleet.status)
            self.join(fleet.name, joined[fleet.name] - fleet.lines, "active")

    @property
    def exists(self) -> bool:
        """Whether the VPG has not been deleted."""
        return bool(self.memory.head[at.EXISTS])

    @property
    def now_us(self) -> int:
        """The instant the VPG has reached."""
        return int(self.memory.head[at.NOW])

    def refresh_path(self) -> None:
        """Recompute what an admitted attempt meets, after a change of the path."""
        self.end_steady()
        head, services = self.memory.head, self.memory.services
        upstream = self.vpg.upstream
        redirected_us = self.vpg.redirection_delay_us if self.redirecting else 0
        services[:, at.V_PATH_US] = np.array(self.slow_us) + upstream.delay_us + redirected_us
        broken = self.redirecting and self.redirection_down > 0
        services[:, at.V_DOWN] = [int(broken or count > 0) for count in self.down]
        busy = services[:, at.V_PATH_US].any() or services[:, at.V_DOWN].any()
        head[at.PLAIN] = int(not (upstream.failure_ppm or busy))
        head[at.MIRROR_ON] = int(self.mirroring)
        head[at.INSPECTING] = int(self.inspecting)

    def resize(self, limits: Limits) -> None:
        """Take new limits; tokens are kept, capped to the new burst."""
        self.end_steady()
        head = self.memory.head
        old_rate, old_burst = int(head[at.RATE]), int(head[at.BURST])
        build.set_limits(head, self.vpg, limits)
        rate, burst = int(head[at.RATE]), int(head[at.BURST])
        if not head[at.BUCKETED]:
            return
        for service in sorted(set(self.memory.services[:, at.V_BUCKET].tolist())):
            row = self.memory.services[service]
            if old_rate and rate:
                tokens, last_us = int(row[at.V_A]), int(row[at.V_B])
                row[at.V_A], row[at.V_B] = limiter.bucket_resize(
                    tokens, last_us, self.now_us, old_rate, old_burst, rate, burst
                )
            else:
                row[at.V_A], row[at.V_B] = limiter.bucket_full(burst), self.now_us

    # ---- lines ---------------------------------------------------------------------------------

    def join(self, name: str, count: int, status: model.LineStatus) -> Ints:
        """Let ``count`` more lines of a fleet join; return their rows."""
        self.end_steady()
        fleet = self.fleets[name]
        table = self.memory["lines"]
        joining = np.arange(fleet.base + fleet.joined, fleet.base + fleet.joined + count)
        code = at.STATUSES.index(status)
        terminated = at.STATUSES.index("terminated")
        there = table[:, at.L_JOINED] > 0
        assigned = int((there & (table[:, at.L_STATUS] != terminated)).sum())
        table[joining, at.L_JOINED] = 1
        table[joining, at.L_STATUS] = code
        table[joining, at.L_SENDING] = int(code <= at.INACTIVE and self.exists)
        table[joining, at.L_ASSIGNED] = assigned + (np.arange(count) if code != terminated else 0)
        fleet.joined += count
        if count and self.now_us < self._loaded_until_us:
            self._load(self._loaded_until_us, only=(name, fleet.joined - count))
        return joining

    def every_line(self) -> Ints:
        """Return the rows of all lines that have joined."""
        return np.flatnonzero(self.memory["lines"][:, at.L_JOINED])

    def rows_of(self, name: str, share_ppm: int, at_us: int) -> Ints:
        """Return the rows of a fleet's lines that an event at ``at_us`` concerns."""
        fleet = self.fleets[name]
        return fleet.base + chosen(fleet.key, fleet.joined, share_ppm, at_us)

    def ramps_us(
        self, name: str, lines: Ints, ramp: model.Ramp, purpose: Purpose, at_us: int
    ) -> Ints:
        """Return how long after the event at ``at_us`` each row of ``lines`` acts."""
        fleet = self.fleets[name]
        return ramps_us(fleet.key, lines - fleet.base, ramp, purpose, at_us)

    def obey(self, what: int, lines: Ints, notes: Ints | int = 0) -> None:
        """Do a command (a code of ``layout``) for each row of ``lines``, now, in their order."""
        if len(lines):
            self.end_steady()
            commands = np.empty((len(lines), at.COMMAND_SIZE), np.int64)
            commands[:, at.C_WHAT] = what
            commands[:, at.C_LINE] = lines
            commands[:, at.C_NOTE] = notes
            self._run(commands.ravel(), self.now_us)

    def cut_all(self) -> None:
        """Delete every session; the devices do not know."""
        self.obey(at.CUT, self.every_line())
        self.obey(at.FORGET_ORPHANS, np.zeros(1, np.int64))

    def delete(self) -> None:
        """End the VPG and everything on it."""
        self.memory.head[at.EXISTS] = 0
        self.cut_all()
        self.obey(at.SILENCE, self.every_line())

    # ---- time ----------------------------------------------------------------------------------

    def advance(self, until_us: int) -> None:
        """Do everything before ``until_us``."""
        if self._hour_ahead(until_us):
            return
        while self.now_us < until_us:
            if self._steady is None and self._countable and self.now_us >= self._look_again_us:
                self._begin_steady()
            if self._steady is None:
                self._by_events(until_us)
                continue
            self._steady.advance(min(until_us, self._steady_until_us))
            if self._steady_until_us <= self.now_us < self._end_us:
                self.end_steady()

    def _hour_ahead(self, until_us: int) -> bool:
        """Take the next hour from what is computed ahead; return whether there is one."""
        ahead = self._ahead
        if not len(ahead) and not self._compute_ahead(ahead, until_us):
            return False
        ensure(until_us % HOUR_US == 0, "hours computed ahead are asked for one by one")
        hour = ahead.take()
        self._asked_for = hour.taken
        self._minutes += hour.minutes
        self._events_before += hour.taken.events
        return True

    def _compute_ahead(self, ahead: Ahead, until_us: int) -> bool:
        whole = self.now_us % HOUR_US == 0 and until_us - self.now_us == HOUR_US
        if self._steady is None or not whole or not ahead.worth_it:
            return False
        # What comes at a tick can come before it, and then belongs to the row that ends there.
        until_us = min(self.quiet_until_us - 1, self._steady_until_us)
        hours = (until_us - self.now_us) // HOUR_US
        if hours < 2 * ahead.segments:
            return False
        hours = min(hours, SEGMENT_HOURS * ahead.segments)
        self._steady.continue_with(ahead.compute(self._steady, hours))
        for taken in ahead.taken():
            self._book(taken)
        return True

    def _begin_steady(self) -> None:
        members = members_of(self.fleets)
        self._steady_until_us = steady_until_us(self.memory, members, self._end_us)
        self._look_again_us = self.now_us + _LOOK_US
        if self._steady_until_us >= self.now_us + LEAST_US:
            # What was loaded for later is counted by the stretch.
            self.memory.head[at.ARRIVAL] = self.memory.head[at.ARRIVALS_SIZE] = 0
            self._steady = Steady(vpg=self.vpg, memory=self.memory, members=members)

    def end_steady(self) -> None:
        """Go on with the agenda, whatever comes: before anything but time changes the VPG."""
        if self._steady is not None:
            self._steady.end()
            self._steady = None
            self._loaded_until_us = self._look_again_us = self.now_us

    def _by_events(self, until_us: int) -> None:
        if self.now_us >= self._loaded_until_us:
            hour_us = hour_start(self.now_us)
            end_us = hour_us + HOUR_US
            if self._countable:
                # Perhaps it is steady soon: what is not needed is not drawn.
                end_us = min(end_us, max(self._look_again_us, self.now_us + 1))
            self._load(end_us)
            self._loaded_until_us = end_us
        self._run(_NO_COMMANDS, min(until_us, self._loaded_until_us))

    def _run(self, commands: Ints, until_us: int) -> None:
        memory = self.memory
        memory.head[at.COMMAND] = 0
        while True:
            answer = kernel.advance(memory.flat, commands, until_us)
            if answer == at.DONE:
                return
            ensure(answer == at.NEEDS_ROOM, "the steps of one instant have an end")
            held = int(memory["lines"][:, [at.L_PARKED, at.L_QUEUED]].sum(axis=1).max())
            memory.make_room(events=kernel.EACH * held + kernel.SPARE + 1, messages=2)

    def _load(self, end_us: int, only: tuple[str, int] | None = None) -> None:
        """Load what lines create until ``end_us``, in this clock hour.

        ``only``: what the lines of a fleet from a new one on create, beside what is loaded.
        """
        head = self.memory.head
        old = self.memory["arrivals"]
        parts = [old[head[at.ARRIVAL] : head[at.ARRIVALS_SIZE]]] if only is not None else []
        for name, fleet in self.fleets.items():
            if only is not None and name != only[0]:
                continue
            first_line = 0 if only is None else only[1]
            for place, stream in enumerate(fleet.streams):
                if not self.exists:
                    continue
                if self._countable:
                    batch = stream.between(self.now_us, end_us, fleet.joined)
                else:
                    batch = stream.hour(hour_start(self.now_us), fleet.joined)
                parts.append(self._arrivals(fleet, place, batch, first_line))
        coming = np.concatenate(parts) if parts else old[:0]
        ranks = self.memory["sources"][coming[:, at.A_SOURCE], at.S_RANK]
        order = np.lexsort(
            (coming[:, at.A_NUMBER], ranks, coming[:, at.A_LINE], coming[:, at.A_TIME])
        )
        self.memory.replace(arrivals=coming[order])
        head = self.memory.head
        head[at.ARRIVAL], head[at.ARRIVALS_SIZE] = 0, len(coming)

    def _arrivals(self, fleet: FleetTable, place: int, batch: Batch, first_line: int) -> Ints:
        times_us, lines = batch.times_us, batch.lines
        wanted = (times_us >= self.now_us) & (times_us < self._end_us) & (lines >= first_line)
        table = np.empty((int(wanted.sum()), at.ARRIVAL_SIZE), np.int64)
        table[:, at.A_TIME] = times_us[wanted]
        table[:, at.A_LINE] = fleet.base + lines[wanted]
        table[:, at.A_SOURCE] = fleet.first_source + place
        table[:, at.A_NUMBER] = batch.numbers[wanted]
        table[:, at.A_UP] = batch.bytes_up[wanted]
        table[:, at.A_DOWN] = batch.bytes_down[wanted]
        return table

    # ---- reading out ---------------------------------------------------------------------------

    def take_row(self) -> Flow:
        """Return the figures since the last call and begin anew."""
        if self._asked_for is not None:
            flow, self._asked_for = self._asked_for.flow, None
            return flow
        taken = rows.take_row(self.memory)
        self._book(taken)
        self._events_before += taken.events
        return taken.flow

    def _book(self, taken: rows.Taken) -> None:
        self._area_message_us += taken.area_message_us
        self._sojourn_message_us += taken.sojourn_message_us

    @property
    def events(self) -> int:
        """Attempts and attach attempts so far."""
        return self._events_before + rows.events_of_row(self.memory)

    def take_minutes(self, *, final: bool) -> list[MinuteRow]:
        """Return the minutes finished since the last call; ``final``: the running one too."""
        found, self._minutes = self._minutes, []
        return found + rows.take_minutes(self.memory, self.vpg.id, final=final)

    def little(self) -> Little:
        """Return Little's two counts from the creation of the VPG to now."""
        head, now_us = self.memory.head, self.now_us
        since_us = now_us - int(head[at.PENDING_SINCE])
        area = self._area_message_us + int(head[at.AREA]) + int(head[at.PENDING]) * since_us
        still_open_us = sum(now_us - created_us for created_us in self._open_since_us())
        sojourn = self._sojourn_message_us + int(head[at.SOJOURN])
        return Little(area, sojourn + still_open_us)

    def _open_since_us(self) -> list[int]:
        messages = self.memory["messages"]
        if self._steady is not None:
            return self._steady.open_since_us()
        found = []
        for first in self.memory["lines"][:, at.L_OPEN_HEAD].tolist():
            message = first
            while message >= 0:
                found.append(int(messages[message, at.M_CREATED]))
                message = int(messages[message, at.M_OPEN_NEXT])
        return found
