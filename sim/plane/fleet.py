"""One fleet in the reference plane: its lines, its traffic by the hour, its policies made ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.plane.line import Line
from sim.plane.message import origin_of
from sim.traffic.arrivals import Stream
from sim.traffic.draws import Draws, Purpose, place, stream_key
from sim.traffic.laws import below, beta34
from sim.traffic.retries import Backoff

if TYPE_CHECKING:
    from scenarios.model import Assumptions, Fleet, LineStatus, Ramp
    from sim.plane.alarm import Clock
    from sim.plane.gateway import Gateway

LINES_BITS = 20
"""Lines of one fleet that a rank can tell apart (the schema allows 1,000,000)."""
_MILLION = 1_000_000


class FleetState:
    """A fleet while its VPG exists."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        rank: int,
        lines: int,
        clock: Clock,
        gateway: Gateway,
        assumptions: Assumptions,
        seed: int,
        replication: int,
        start_us: int,
        end_us: int,
    ) -> None:
        """Create ``lines`` lines of ``fleet``; ``rank`` is its place among the fleets by name."""
        self.fleet = fleet
        self.clock = clock
        self.gateway = gateway
        self.start_us = start_us
        self._end_us = end_us
        self._rank = rank
        self.draws = Draws(stream_key(seed, replication, fleet.name))
        self.backoff = Backoff(fleet.retry)
        self.attach_backoff = Backoff(fleet.attach_retry)
        self.independent = fleet.outstanding == "independent"
        self.holds = fleet.outstanding == "hold"
        self.attaches_on_report = fleet.session.attach != "on_event"
        self.cut_after_bytes = assumptions.a28_cut_after_bytes or 0
        self.cut_after_us = assumptions.a28_cut_after_us
        sources = sorted(fleet.traffic, key=lambda source: source.name)
        self._origins = [origin_of(source, place_in) for place_in, source in enumerate(sources)]
        self._streams = [
            Stream(seed=seed, replication=replication, fleet=fleet, source=source)
            for source in sources
        ]
        self.lines: list[Line] = []
        # The first lines have the status the file gives; lines that join later are in use.
        self._create_lines(fleet.lines, fleet.status)
        self.add_lines(lines - fleet.lines)

    def add_lines(self, count: int) -> list[Line]:
        """Let ``count`` more lines join, numbered behind the others and in use."""
        return self._create_lines(count, "active")

    def _create_lines(self, count: int, status: LineStatus) -> list[Line]:
        first = len(self.lines)
        assigned = sum(1 for other in self.gateway.lines if other.status != "terminated")
        new: list[Line] = []
        for index in range(first, first + count):
            rank = (self._rank << LINES_BITS) | index
            line = self._new_line(index, rank, status)
            line.assigned_before = assigned
            assigned += status != "terminated"
            new.append(line)
        self.lines += new
        self.gateway.lines += new
        return new

    def _new_line(self, index: int, rank: int, status: LineStatus) -> Line:
        return Line(fleet=self, index=index, rank=rank, status=status)

    # ---- traffic -------------------------------------------------------------------------------

    def load_hour(self, hour_us: int, from_us: int, first_line: int = 0) -> None:
        """Fill the inboxes of lines from ``first_line`` on for the rest of the hour."""
        parts = []
        for place_in, stream in enumerate(self._streams):
            batch = stream.hour(hour_us, len(self.lines))
            wanted = (batch.times_us >= from_us) & (batch.times_us < self._end_us)
            if first_line:
                wanted &= batch.lines >= first_line
            columns = (batch.lines, batch.times_us, batch.numbers, batch.bytes_up, batch.bytes_down)
            chosen = [column[wanted] for column in columns]
            parts.append([*chosen, np.full(len(chosen[0]), place_in, np.int64)])
        if not parts:
            return
        lines, times_us, numbers, ups, downs, places = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        if not len(lines):
            return
        # Last first, because a line takes its next message from the end of its inbox.
        order = np.lexsort((numbers, places, times_us, lines))[::-1]
        lines = lines[order]
        created = list(
            zip(
                times_us[order].tolist(),
                [self._origins[place_in] for place_in in places[order].tolist()],
                numbers[order].tolist(),
                ups[order].tolist(),
                downs[order].tolist(),
                strict=True,
            )
        )
        begins = np.flatnonzero(np.r_[True, lines[1:] != lines[:-1]])
        ends = [*begins[1:].tolist(), len(lines)]
        for which, begin, end in zip(lines[begins].tolist(), begins.tolist(), ends, strict=True):
            self.lines[which].receive(created[begin:end])

    # ---- choosing lines for an event -----------------------------------------------------------

    def chosen(self, share_ppm: int, at_us: int) -> list[Line]:
        """Return the lines that an event at ``at_us`` concerns, the same at its begin and end."""
        if share_ppm >= _MILLION:
            return list(self.lines)
        where = place(Purpose.EVENT_SHARE)
        return [
            line
            for line in self.lines
            if below(self.draws.words(line.index, where, at_us)[0], _MILLION) < share_ppm
        ]

    def ramp_us(self, ramp: Ramp, line: Line, purpose: Purpose, at_us: int) -> int:
        """Return how long after the event at ``at_us`` this line acts."""
        if ramp.shape == "at_once" or not ramp.over_us:
            return 0
        where = place(purpose)
        words = self.draws.words(line.index, where, at_us)
        if ramp.shape == "uniform":
            return below(words[0], ramp.over_us)
        more = self.draws.words(line.index, where, at_us, 1)
        return beta34((*words, *more[:2]), ramp.over_us)
