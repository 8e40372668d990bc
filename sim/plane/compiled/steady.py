"""Steady stretches of a VPG: when one may begin, how it takes over, and how it hands back.

While every line either holds its session and sends, or is silent, and nothing else is due, only
ticks, the limiter and retries matter: then ``bins`` counts instead of ordering. Owns: that decision
and both conversions. Does not own: the counting. Times: ``SimUs``.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from scenarios.model import MILLION
from sim.plane.compiled import bins, ordering, ticks
from sim.plane.compiled import layout as at
from sim.plane.compiled import steady_layout as st
from sim.plane.compiled.flat import Flat
from sim.plane.compiled.rows import begin_row
from sim.traffic import laws
from sim.traffic.draws import Purpose, place, words_of
from sim.traffic.payloads import is_fixed
from sim.traffic.retries import Backoff
from vpg.errors import ensure
from vpg.gateway import junction, limiter
from vpg.timebase import HOUR_US, SECOND_US

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scenarios.model import Payload, RetryPolicy, Vpg
    from sim.plane.compiled.build import Memory
    from sim.plane.compiled.jit import Ints
    from sim.plane.compiled.vpg import FleetTable
    from sim.traffic.arrivals import Stream, Ticks

LEAST_US: Final = 2 * SECOND_US
"""A shorter stretch is not worth the two conversions."""
_SLAB_KEYS: Final = 40_000
_SLAB_US_MAX: Final = 1800 * SECOND_US
_BIN_TRIES: Final = 3_500_000
"""Tries of a bin × 1,000,000: so many that sorting one is cheap, so few that most bins are calm."""
_BINS_US: Final = (
    1_000_000, 500_000, 250_000, 200_000, 100_000, 50_000, 40_000, 20_000, 10_000, 5_000, 2_000,
    1_000, 500, 250,
)  # fmt: skip
"""Widths that divide a second, so that a bin lies in one second."""
_WHEEL_MAX: Final = 1 << 16
_NODES_MIN: Final = 1024
_LAID_OUT: Final = np.isin(np.arange(at.HEAD_SIZE), [*range(at.FLEETS, at.LOG_TABLE + 1)])
"""Places of the head that say where tables stand: each memory's own."""
_TABLES: Final = {
    "sources": st.SOURCES,
    "units": st.UNITS,
    "waits": st.WAIT_TABLE,
    "wheel": st.WHEEL,
    "keys": st.KEYS,
    "sorted": st.SORTED,
    "counts": st.COUNTS,
    "ends": st.ENDS,
    "lows": st.LOWS,
    "tries_in": st.TRIES_IN,
    "throttled_in": st.THROTTLED_IN,
    "active": st.ACTIVE,
    "inspected": st.INSPECTED,
    "order": st.ORDER,
    "holders": st.HOLDERS,
    "order2": st.ORDER2,
    "holders2": st.HOLDERS2,
    "nodes": st.NODES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A source on the VPG and its ticks."""

    fleet: FleetTable
    stream: Stream
    ticks: Ticks
    number: int
    """Place in the memory's table of sources."""


# ---- may it? -------------------------------------------------------------------------------------


def countable(vpg: Vpg, fleets: Mapping[str, FleetTable]) -> bool:
    """Return whether a VPG's traffic is of the kind that can be counted: it never changes."""
    streams = [stream for fleet in fleets.values() for stream in fleet.streams]
    for stream in streams:
        found = stream.ticks(1)
        if found is None or bool((found.every_us < max(1, found.jitter_us)).any()):
            return False
        if not (is_fixed(_up(stream)) and is_fixed(_down(stream))):
            return False
    independent = all(fleet.fleet.outstanding == "independent" for fleet in fleets.values())
    rejects = vpg.limiter.above == "reject"
    lossless = all(
        peer.capacity_bytes_per_s is None and not peer.loss_ppm
        for peer in vpg.mirror_peers
        if peer.enabled
    )
    return 0 < len(streams) < st.SOURCE_MASK and independent and rejects and lossless


def _up(stream: Stream) -> Payload:
    return stream.source.up


def _down(stream: Stream) -> Payload:
    return stream.source.down


def _one_bucket(memory: Memory) -> bool:
    """Return whether all limited sources share one limiter state and one cost."""
    services = np.unique(memory["sources"][:, at.S_SERVICE])
    limited = memory.services[services[services != at.IP]]
    return all(len(np.unique(limited[:, c])) <= 1 for c in (at.V_BUCKET, at.V_COST))


def steady_until_us(memory: Memory, members: list[_Member], end_us: int) -> int:
    """Return until when the VPG is steady from now on (now or earlier: it is not)."""
    head, lines = memory.head, memory["lines"]
    now_us = int(head[at.NOW])
    usable = head[at.EXISTS] and head[at.PLAIN] and not head[at.CUT_BYTES]
    if not usable or not _one_bucket(memory) or len(lines) >= st.LINE_MASK:
        return now_us
    sends = lines[:, at.L_SENDING] > 0
    attached = (lines[:, at.L_STATE] == at.ATTACHED) & (lines[:, at.L_SESSION] > 0)
    ready = attached & (lines[:, at.L_RADIO] == 0) & (lines[:, at.L_PARKED] == 0)
    silent = ~sends & (lines[:, at.L_OPEN_HEAD] < 0)
    if not np.all(silent | ready):
        return now_us
    events = memory.agenda()
    kinds = events[:, at.E_KIND]
    ours = (kinds == at.RETRY) | (kinds == at.IDLE_CHECK)
    until_us = int(min(end_us, events[~ours, at.E_TIME].min(initial=end_us)))
    idle_us = int(head[at.IDLE_US])
    if not idle_us:
        return until_us
    # Whoever ticks often enough never runs into the idle timeout.
    guarded = np.zeros(len(lines), np.bool_)
    for member in members:
        longest_us = member.ticks.every_us + max(0, member.ticks.jitter_us - 1)
        often = longest_us < idle_us
        guarded[member.fleet.base + member.ticks.members[often]] = True
    idle = lines[(lines[:, at.L_SESSION] > 0) & ~(guarded & sends), at.L_ACTIVE_US] + idle_us
    return int(min(until_us, idle.min(initial=until_us)))


# ---- taking over ---------------------------------------------------------------------------------


def members_of(fleets: Mapping[str, FleetTable]) -> list[_Member]:
    """Return the sources of a countable VPG with their ticks, for the lines that have joined."""
    found = []
    for fleet in fleets.values():
        for place_in, stream in enumerate(fleet.streams):
            there = stream.ticks(fleet.joined)
            ensure(there is not None, "a countable source ticks")
            if there is not None:
                number = fleet.first_source + place_in
                found.append(_Member(fleet=fleet, stream=stream, ticks=there, number=number))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All of a steady stretch that decides what comes: two that are equal go on alike."""

    tokens: int
    used: int
    """Fixed window: requests of the running second."""
    waiting: bytes
    """All who wait, in one order."""


class Steady:
    """A steady stretch of one VPG, from its begin to its end."""

    memory: Memory
    vpg_id: str

    def __init__(self, *, vpg: Vpg, memory: Memory, members: list[_Member]) -> None:
        """Take over from the agenda, now."""
        self.memory = memory
        self.vpg_id = vpg.id
        self._members = members
        self._begun_us = int(memory.head[at.NOW])
        head = np.zeros(st.STEADY_SIZE, np.int64)
        sources = np.array([_source_row(vpg, memory, m) for m in members], np.int64)
        tries_per_s = sum(
            int((MILLION * MILLION // m.ticks.every_us).sum())
            for m, row in zip(members, sources, strict=True)
            if row[st.C_LIMITED]
        )
        bin_us = next(
            (w for w in _BINS_US if tries_per_s * w <= _BIN_TRIES * MILLION), _BINS_US[-1]
        )
        slab_us = _SLAB_KEYS * MILLION * SECOND_US // max(1, tries_per_s)
        slab_us = max(SECOND_US, min(slab_us // SECOND_US * SECOND_US, _SLAB_US_MAX))
        room = sum(
            int((slab_us // m.ticks.every_us + 2).sum())
            for m, row in zip(members, sources, strict=True)
            if row[st.C_LIMITED]
        )
        width = slab_us // bin_us + 3
        slots = _slots(
            (_longest_us([m.fleet.fleet.retry for m in members]) + slab_us) // bin_us + 4
        )
        head[st.SLAB_US], head[st.BIN_US], head[st.WHEEL_MASK] = slab_us, bin_us, slots - 1
        head[st.BIN_INVERSE] = np.uint64((1 << 64) // bin_us + 1).view(np.int64)
        head[st.N_SOURCES] = len(members)
        limited = sources[sources[:, st.C_LIMITED] > 0, st.C_SERVICE]
        service = int(limited[0]) if len(limited) else 0
        row = memory.services[service]
        head[st.COST] = row[at.V_COST]
        head[st.STATE] = at.SERVICES_AT + int(row[at.V_BUCKET]) * at.SERVICE_SIZE
        head[st.FREE_NODE] = -1
        lines = memory["lines"]
        seconds = slab_us // SECOND_US + 2

        def column(length: int) -> Ints:
            return np.zeros((length, 1), np.int64)

        tables = {
            "sources": sources,
            "units": _unit_rows(memory, members, sources),
            "waits": _waits(members),
            "wheel": column(slots) - 1,
            "keys": column(room + 1),
            "sorted": column(room + 1),
            "counts": column(width),
            "ends": column(width),
            "lows": column(width + 1),
            "tries_in": column(seconds),
            "throttled_in": column(seconds),
            "active": lines[:, at.L_ACTIVE_US : at.L_ACTIVE_US + 1],
            "inspected": lines[:, at.L_INSPECTED : at.L_INSPECTED + 1],
            "order": column(room + _NODES_MIN + 1),
            "holders": column(room + _NODES_MIN + 1),
            "order2": column(ordering.MANY + 1),
            "holders2": column(ordering.MANY + 1),
            "nodes": np.zeros((_NODES_MIN, st.NODE_SIZE), np.int64),
        }
        self.flat = Flat(head, tables, _TABLES)
        self.forget_nodes()
        ticks.stand(self.flat.flat, self._begun_us)
        self._take_nodes()

    @property
    def now_us(self) -> int:
        """The instant the stretch has reached."""
        return int(self.memory.head[at.NOW])

    def advance(self, until_us: int) -> None:
        """Do everything before ``until_us``."""
        from_us = self.now_us
        while bins.steady(self.memory.flat, self.flat.flat, from_us, until_us) != at.DONE:
            self._grow(int(self.flat["counts"].max()))
            from_us = int(self.flat.head[st.FROM_US])

    def open_since_us(self) -> list[int]:
        """Return when each message that waits for a retry was created."""
        return self._nodes()[:, st.N_CREATED_US].tolist()

    # ---- segments of time ------------------------------------------------------------------

    def standing(self) -> Standing:
        """Return what decides how the stretch goes on."""
        head = self.memory.head
        row = int(self.flat.head[st.STATE])
        a, b, now_us = int(head[row + at.V_A]), int(head[row + at.V_B]), self.now_us
        tokens = used = 0
        if head[at.BUCKETED]:
            full = limiter.bucket_full(int(head[at.BURST]))
            tokens = min(full, a + int(head[at.RATE]) * (now_us - b))
        elif a == now_us // SECOND_US:
            used = b
        nodes = self._nodes()[:, st.N_DUE_US : st.N_WORD]
        waiting = np.ascontiguousarray(nodes[np.lexsort(nodes.T)]).tobytes()
        return Standing(tokens=tokens, used=used, waiting=waiting)

    def is_idle(self) -> bool:
        """Return whether the bucket is full and nobody waits."""
        head = self.memory.head
        if head[at.PENDING]:
            return False
        now = self.standing()
        full = limiter.bucket_full(int(head[at.BURST])) if head[at.BUCKETED] else 0
        return (now.tokens == full or not head[at.RATE]) and not now.used

    def idle_at(self, at_us: int) -> Steady:
        """Return the same stretch as if it began at a clock hour with nothing behind it."""
        other = copy.copy(self)
        memory, row = self.memory.alone(), int(self.flat.head[st.STATE])
        head = memory.head
        head[at.NOW] = head[at.SECOND] = head[at.MINUTE] = head[at.MINUTE_PEAK_AT] = at_us
        head[at.PENDING_SINCE], head[at.SECOND_END] = at_us, at_us + SECOND_US
        for place_in in (
            *range(at.BASE0, at.BASE4 + 1), at.SECOND_ATTEMPTS, at.SECOND_ATTACHES, at.MINUTE_PEAK,
            at.PENDING, at.MINUTES_SIZE,
        ):  # fmt: skip
            head[place_in] = 0
        head[at.MINUTE_LINES] = head[at.SESSIONS]
        head[row + at.V_A], head[row + at.V_B] = limiter.NO_WINDOW, 0
        if head[at.BUCKETED]:
            head[row + at.V_A], head[row + at.V_B] = limiter.bucket_full(int(head[at.BURST])), at_us
        begin_row(memory)
        other.memory = memory
        other.flat = self.flat.copy()
        other.forget_nodes()
        other.flat["inspected"][:] = -1
        ticks.stand(other.flat.flat, at_us)
        return other

    def continue_with(self, other: Steady) -> None:
        """Go on as ``other`` stands, which has run what lies between."""
        if other is not self:
            self.memory.head[:] = np.where(_LAID_OUT, self.memory.head, other.memory.head)
            self.flat = other.flat

    def take_activity(self) -> Ints:
        """Return when each line's last retry was since the last call (or its take-over)."""
        found = self.flat["active"].copy()
        self.flat["active"][:] = 0
        return found

    def know_activity(self, parts: Sequence[Ints]) -> None:
        """Know of each line the latest of what ``parts`` of the stretch say."""
        self.flat["active"][:] = np.maximum.reduce(parts)

    def forget_nodes(self) -> None:
        """Let nobody wait."""
        flat = self.flat
        flat.head[st.ORDER_SIZE] = len(flat["order"])
        flat["wheel"][:] = -1
        count = len(flat["nodes"])
        flat["nodes"][:, st.N_NEXT] = [*range(1, count), -1]
        flat["nodes"][:, st.N_LINE] = -1
        flat.head[st.FREE_NODE], flat.head[st.FREE_NODES] = 0, count

    # ---- nodes -----------------------------------------------------------------------------

    def _grow(self, more: int) -> None:
        """Have more free nodes, and room to order them all at once."""
        flat = self.flat
        first = len(flat["nodes"])
        more = max(more, first)
        grown = {name: _longer(flat[name], more) for name in ("nodes", "order", "holders")}
        flat.replace(**grown)
        flat["nodes"][first:, st.N_LINE] = -1
        links = flat["nodes"][first:, st.N_NEXT]
        links[:] = np.arange(first + 1, first + more + 1)
        links[-1] = flat.head[st.FREE_NODE]
        flat.head[st.FREE_NODE] = first
        flat.head[st.FREE_NODES] += more
        flat.head[st.ORDER_SIZE] = len(flat["order"])

    def _nodes(self) -> Ints:
        """Return the rows of the messages that wait."""
        nodes = self.flat["nodes"]
        return nodes[nodes[:, st.N_LINE] >= 0]

    def _take_nodes(self) -> None:
        """Put the retries of the agenda on the wheel, and clear agenda and messages of them."""
        memory, flat = self.memory, self.flat
        events = memory.agenda()
        retries = events[events[:, at.E_KIND] == at.RETRY]
        messages = memory["messages"]
        retries = retries[retries[:, at.E_NOTE2] == messages[retries[:, at.E_NOTE], at.M_SERIAL]]
        ensure(len(retries) == memory.head[at.PENDING], "in a steady stretch every message waits")
        waiting = messages[retries[:, at.E_NOTE]]
        count = len(waiting)
        if count >= flat.head[st.FREE_NODES]:
            self._grow(count)
        # Those taken are the first of the free list, which begins with the newest rows.
        nodes = flat["nodes"]
        wheel = flat["wheel"][:, 0]
        words = self._words(waiting)
        for place_in in range(count):
            node = int(flat.head[st.FREE_NODE])
            flat.head[st.FREE_NODE] = nodes[node, st.N_NEXT]
            row = nodes[node]
            row[st.N_DUE_US] = retries[place_in, at.E_TIME]
            row[st.N_LINE] = waiting[place_in, at.M_LINE]
            row[st.N_SOURCE] = waiting[place_in, at.M_SOURCE]
            row[st.N_NUMBER] = waiting[place_in, at.M_NUMBER]
            row[st.N_CREATED_US] = waiting[place_in, at.M_CREATED]
            row[st.N_TRIES] = waiting[place_in, at.M_TRIES]
            row[st.N_WORD :] = words[place_in]
            slot = int(row[st.N_DUE_US] // flat.head[st.BIN_US] & flat.head[st.WHEEL_MASK])
            row[st.N_NEXT] = wheel[slot]
            wheel[slot] = node
        flat.head[st.FREE_NODES] -= count
        memory.take_messages()
        memory.set_agenda(events[events[:, at.E_KIND] != at.RETRY])

    def _words(self, waiting: Ints) -> Ints:
        """Return the four words that each message's next retry is among."""
        found = np.zeros((len(waiting), 4), np.int64)
        for member in self._members:
            its = np.flatnonzero(waiting[:, at.M_SOURCE] == member.number)
            if not len(its):
                continue
            where = place(Purpose.RETRY, member.stream.source.name)
            lines = (waiting[its, at.M_LINE] - member.fleet.base).astype(np.uint64)
            numbers = waiting[its, at.M_NUMBER].astype(np.uint64)
            index = (waiting[its, at.M_TRIES] // 4).astype(np.uint64)
            words = words_of(member.fleet.key, lines, where, numbers, index)
            found[its] = np.column_stack(words).view(np.int64)
        return found

    # ---- handing back ----------------------------------------------------------------------

    def end(self) -> None:
        """Hand everything back to the agenda, now."""
        memory, flat = self.memory, self.flat
        lines = memory["lines"]
        lines[:, at.L_INSPECTED] = flat["inspected"][:, 0]
        lines[:, at.L_ACTIVE_US] = self._last_active_us()
        nodes = self._nodes()
        order = (nodes[:, st.N_SOURCE], nodes[:, st.N_CREATED_US], nodes[:, st.N_LINE])
        nodes = nodes[np.lexsort(order)]
        messages = np.zeros((len(nodes), at.MESSAGE_SIZE), np.int64)
        for column, source in (
            (at.M_LINE, st.N_LINE), (at.M_SOURCE, st.N_SOURCE), (at.M_NUMBER, st.N_NUMBER),
            (at.M_CREATED, st.N_CREATED_US), (at.M_TRIES, st.N_TRIES),
        ):  # fmt: skip
            messages[:, column] = nodes[:, source]
        sizes = flat["sources"][nodes[:, st.N_SOURCE]]
        messages[:, at.M_UP], messages[:, at.M_DOWN] = sizes[:, st.C_UP], sizes[:, st.C_DOWN]
        memory.put_messages(messages)
        memory.set_agenda(np.concatenate([self._timers(), self._retries(nodes)]))

    def _last_active_us(self) -> Ints:
        active = self.flat["active"][:, 0].copy()
        units = self.flat["units"]
        for member, source in zip(self._members, self.flat["sources"], strict=True):
            base, first = member.fleet.base, int(source[st.C_FIRST_UNIT])
            rows = units[first : first + int(source[st.C_UNITS])]
            there = np.flatnonzero(rows[:, st.U_NEXT_US] != st.NEVER_US)
            rows = rows[there]
            numbers = rows[:, st.U_NUMBER] - 1
            last_us = rows[:, st.U_PHASE] + numbers * rows[:, st.U_EVERY]
            if member.ticks.jitter_us > 1:
                where = place(Purpose.JITTER, member.stream.source.name)
                who, which = there.astype(np.uint64), (numbers >> 2).astype(np.uint64)
                words = np.choose(numbers & 3, words_of(member.fleet.key, who, where, which))
                last_us += laws.below_many(words, member.ticks.jitter_us)
            its = base + there
            seen = last_us >= self._begun_us
            active[its[seen]] = np.maximum(active[its[seen]], last_us[seen])
        return active

    def _timers(self) -> Ints:
        """Return the agenda's timers; idle checks that were due meanwhile look again later."""
        memory = self.memory
        events, lines = memory.agenda(), memory["lines"]
        now_us = int(memory.head[at.NOW])
        past = events[:, at.E_TIME] < now_us
        ensure(
            bool((events[past, at.E_KIND] == at.IDLE_CHECK).all()),
            "nothing but idle checks is due in a steady stretch",
        )
        who = events[:, at.E_LINE]
        current = (lines[who, at.L_SESSION] > 0) & (lines[who, at.L_SEQ] == events[:, at.E_NOTE])
        again_us = lines[who, at.L_ACTIVE_US] + memory.head[at.IDLE_US]
        events[past, at.E_TIME] = again_us[past]
        return events[~past | current]

    def _retries(self, nodes: Ints) -> Ints:
        memory = self.memory
        events = np.zeros((len(nodes), at.EVENT_SIZE), np.int64)
        messages = memory["messages"][: len(nodes)]
        ranks = memory["sources"][nodes[:, st.N_SOURCE], at.S_RANK]
        events[:, at.E_TIME] = nodes[:, st.N_DUE_US]
        events[:, at.E_LINE] = nodes[:, st.N_LINE]
        events[:, at.E_AGE] = nodes[:, st.N_CREATED_US] - memory.head[at.START]
        events[:, at.E_ORDER] = (
            (ranks << 32) | ((nodes[:, st.N_NUMBER] & 4095) << 20) | (nodes[:, st.N_TRIES] + 8)
        )
        events[:, at.E_KIND] = at.RETRY
        events[:, at.E_NOTE] = np.arange(len(nodes))
        events[:, at.E_NOTE2] = messages[:, at.M_SERIAL]
        return events


def _longer(table: Ints, more: int) -> Ints:
    return np.concatenate([table, np.zeros((more, table.shape[1]), np.int64)])


def _slots(least: int) -> int:
    slots = 64
    while slots < least and slots < _WHEEL_MAX:
        slots *= 2
    return slots


def _longest_us(policies: list[RetryPolicy]) -> int:
    return max((delay_us * 3 // 2 for p in policies for delay_us, _ in p.steps), default=0)


def _waits(members: list[_Member]) -> Ints:
    """Return (base, swing) of each source's first retries, rows of both by source and retry."""
    backoffs = [Backoff(member.fleet.fleet.retry) for member in members]
    table = [[backoff.wait_us(max(1, nth)) for nth in range(st.WAITS)] for backoff in backoffs]
    return np.array(table, np.int64).reshape(-1, 2)


def _copies(vpg: Vpg, memory: Memory, payload_bytes: int) -> tuple[int, int]:
    """Return (bytes mirrored, packets dropped) of one way of one try, over all peers."""
    how = (vpg.message_overhead_bytes, vpg.mtu_bytes, vpg.header_bytes)
    if not memory.head[at.MIRROR_ON]:
        return 0, 0
    down = memory["peers"][:, at.P_DOWN] > 0
    count = junction.packets(payload_bytes, *how)
    return int((~down).sum()) * junction.mirrored_bytes(payload_bytes, *how), int(
        down.sum()
    ) * count


def _source_row(vpg: Vpg, memory: Memory, member: _Member) -> list[int]:
    source, fleet, head = member.stream.source, member.fleet, memory.head
    service = int(memory["sources"][member.number, at.S_SERVICE])
    up, down = _up(member.stream).low_bytes, _down(member.stream).low_bytes
    request, answer, nothing = (_copies(vpg, memory, size) for size in (up, down, 0))
    accepted = [a + b for a, b in zip(request, answer, strict=True)]
    throttled = [0, 0]
    if head[at.MIRROR_THROTTLED]:
        throttled = [a + b for a, b in zip(request, nothing, strict=True)]
    row = [0] * st.SOURCE_SIZE
    row[st.C_SERVICE], row[st.C_LIMITED] = service, int(service != at.IP)
    row[st.C_JITTER_US] = member.ticks.jitter_us
    row[st.C_KEY] = int(np.uint64(fleet.key).view(np.int64))
    row[st.C_JITTER_PLACE] = place(Purpose.JITTER, source.name)
    row[st.C_RETRY_PLACE] = place(Purpose.RETRY, source.name)
    row[st.C_POLICY] = int(memory["fleets"][_rank(memory, fleet), at.F_RETRY])
    row[st.C_UP], row[st.C_DOWN] = up, down
    row[st.C_COPIED], row[st.C_DROPPED] = accepted
    row[st.C_COPIED_THROTTLED], row[st.C_DROPPED_THROTTLED] = throttled
    row[st.C_UNITS] = fleet.joined
    row[st.C_FIRST_LINE] = fleet.base
    return row


def _rank(memory: Memory, fleet: FleetTable) -> int:
    return int(memory["lines"][fleet.base, at.L_FLEET]) if fleet.joined else 0


def _unit_rows(memory: Memory, members: list[_Member], sources: Ints) -> Ints:
    """Return the units of every source, and write where each source's begin into ``sources``."""
    parts = []
    first = 0
    for member, source in zip(members, sources, strict=True):
        fleet, found = member.fleet, member.ticks
        rows = np.zeros((fleet.joined, st.UNIT_SIZE), np.int64)
        rows[:, st.U_EVERY], rows[:, st.U_NEXT_US] = HOUR_US, st.NEVER_US
        rows[found.members, st.U_PHASE] = found.phases_us
        rows[found.members, st.U_EVERY] = found.every_us
        sends = memory["lines"][fleet.base + found.members, at.L_SENDING] > 0
        rows[found.members[sends], st.U_NEXT_US] = 0
        source[st.C_FIRST_UNIT] = first
        first += fleet.joined
        parts.append(rows)
    return np.concatenate(parts)
