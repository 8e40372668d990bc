"""From a scenario's values to the memory of a compiled VPG, and its growth.

Owns: filling and enlarging the memory of ``layout``. Does not own: what is done with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sim.plane.compiled import layout as at
from sim.plane.compiled.flat import Flat
from sim.traffic import laws
from sim.traffic.draws import Purpose, place, stream_key
from vpg.gateway import limiter, lines
from vpg.rating.hourly import SERVICES
from vpg.timebase import MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scenarios.model import Fleet, RetryPolicy, Scenario, Vpg
    from sim.plane.compiled.jit import Ints
    from vpg.catalogue.model import Limits

_DURATIONS: Final = {"idle": at.BY_IDLE, "fixed": at.BY_LENGTH, "exponential": at.BY_LAW}
_EVENTS_MIN: Final = 4096
_MESSAGES_MIN: Final = 1024
_TABLES: Final = {
    # Events first: the agenda holds their places, which must not move when anything grows.
    "events": at.EVENTS,
    "heap": at.HEAP,
    "fleets": at.FLEETS,
    "keys": at.KEYS,
    "policies": at.POLICIES,
    "steps": at.STEPS,
    "sources": at.SOURCES,
    "peers": at.PEERS,
    "lines": at.LINES,
    "log_table": at.LOG_TABLE,
    "messages": at.MESSAGES,
    "arrivals": at.ARRIVALS,
}


class Memory(Flat):
    """The memory of one VPG; ``tally``, ``delays``, … are parts of its head."""

    def __init__(self, head: Ints, tables: Mapping[str, Ints]) -> None:
        """Lay ``head`` and ``tables`` out."""
        super().__init__(head, tables, _TABLES)

    def _lay(self, head: Ints, tables: Mapping[str, Ints]) -> None:
        super()._lay(head, tables)
        flat = self.flat
        self.tally = flat[at.TALLY_AT : at.TALLY_AT + at.TALLY_SIZE]
        self.delays = flat[at.DELAYS_AT : at.DELAYS_AT + at.BUCKETS]
        ends = at.SERVICES_AT + at.N_SERVICES * at.SERVICE_SIZE
        self.services = flat[at.SERVICES_AT : ends].reshape(at.N_SERVICES, at.SERVICE_SIZE)
        ends = at.MINUTES_AT + at.MINUTE_ROWS * at.MINUTE_SIZE
        self.minutes = flat[at.MINUTES_AT : ends].reshape(at.MINUTE_ROWS, at.MINUTE_SIZE)

    def make_room(self, *, events: int = 0, messages: int = 0) -> None:
        """Have at least so many free slots; tables at least double when they grow."""
        if events > self.head[at.FREE_EVENTS]:
            first = len(self["events"])
            more = max(events, first)
            self.lengthen("events", more)
            self.lengthen("heap", more)
            self._chain_events(first, int(self.head[at.FREE_EVENT]))
            self.head[at.FREE_EVENTS] += more
        if messages > self.head[at.FREE_MESSAGES]:
            first = len(self["messages"])
            more = max(messages, first)
            self.lengthen("messages", more)
            self._chain_messages(first, int(self.head[at.FREE_MESSAGE]))
            self.head[at.FREE_MESSAGES] += more

    def _chain_events(self, first: int, then: int) -> None:
        """Make the event slots from ``first`` on free, before those that begin with ``then``."""
        place = int(self.head[at.EVENTS]) + first * at.EVENT_SIZE
        links = self["events"][first:, at.E_NOTE2]
        links[:] = place + at.EVENT_SIZE * np.arange(1, len(links) + 1)
        links[-1:] = then
        self.head[at.FREE_EVENT] = place if len(links) else then

    def _chain_messages(self, first: int, then: int) -> None:
        links = self["messages"][first:, at.M_OPEN_NEXT]
        links[:] = np.arange(first + 1, first + len(links) + 1)
        links[-1:] = then
        self.head[at.FREE_MESSAGE] = first if len(links) else then

    def alone(self) -> Memory:
        """Return a memory of its own with this head and what a steady stretch looks up in it."""
        kept = ("policies", "steps", "sources", "fleets", "peers")
        tables = {name: self[name] if name in kept else self[name][:0] for name in _TABLES}
        return Memory(self.head, tables)

    def clear(self) -> None:
        """Let every slot for an event or a message be free."""
        self.head[at.HEAP_SIZE] = 0
        self.head[at.FREE_EVENTS] = len(self["events"])
        self.head[at.FREE_MESSAGES] = len(self["messages"])
        self._chain_events(0, -1)
        self._chain_messages(0, -1)

    # ---- the agenda and the open messages as a whole ------------------------------------------

    def agenda(self) -> Ints:
        """Return a copy of every event on the agenda, one row each, in no order."""
        places = self["heap"][: self.head[at.HEAP_SIZE], 0] - self.head[at.EVENTS]
        return self["events"][places // at.EVENT_SIZE]

    def set_agenda(self, events: Ints) -> None:
        """Put these events on the agenda instead of all others."""
        spare = len(self["events"]) - len(events)
        if spare <= 0:
            self.make_room(events=int(self.head[at.FREE_EVENTS]) + len(events))
            spare = len(self["events"]) - len(events)
        columns = (at.E_SEQUENCE, at.E_ORDER, at.E_AGE, at.E_LINE, at.E_TIME)
        # What is sorted is a heap.
        order = np.lexsort([events[:, column] for column in columns])
        self["events"][: len(events)] = events[order]
        places = self.head[at.EVENTS] + at.EVENT_SIZE * np.arange(len(events))
        self["heap"][: len(events), 0] = places
        self.head[at.HEAP_SIZE] = len(events)
        self.head[at.FREE_EVENTS] = spare
        self._chain_events(len(events), -1)

    def take_messages(self) -> None:
        """Forget every open message; whatever is still set for one sees another serial."""
        self["messages"][:, at.M_SERIAL] += 1
        for column in (at.L_OPEN_HEAD, at.L_OPEN_TAIL):
            self["lines"][:, column] = -1
        self.head[at.FREE_MESSAGES] = len(self["messages"])
        self._chain_messages(0, -1)

    def put_messages(self, messages: Ints) -> None:
        """Put open messages, ordered by line and age, into the empty table, and set their links."""
        count = len(messages)
        if not count:
            return
        self.make_room(messages=count + 2)
        table = self["messages"]
        serials = table[:count, at.M_SERIAL].copy()
        table[:count] = messages
        table[:count, at.M_SERIAL] = serials
        lines = messages[:, at.M_LINE]
        same = lines[1:] == lines[:-1]
        places = np.arange(count)
        table[:count, at.M_OPEN_PREV] = np.where(np.r_[False, same], places - 1, -1)
        table[:count, at.M_OPEN_NEXT] = np.where(np.r_[same, False], places + 1, -1)
        heads, tails = np.r_[True, ~same], np.r_[~same, True]
        self["lines"][lines[heads], at.L_OPEN_HEAD] = places[heads]
        self["lines"][lines[tails], at.L_OPEN_TAIL] = places[tails]
        self.head[at.FREE_MESSAGES] = len(table) - count
        self._chain_messages(count, -1)


def _or_none(value: int | None) -> int:
    return -1 if value is None else value


def _table(rows: Sequence[Sequence[int]], width: int) -> Ints:
    return np.array(rows, np.int64).reshape(len(rows), width)


def _policies(fleets: Sequence[Fleet]) -> tuple[Ints, Ints]:
    rows: list[tuple[int, ...]] = []
    steps: list[tuple[int, int]] = []

    def add(policy: RetryPolicy) -> None:
        begin = len(steps)
        steps.extend(policy.steps)
        cycle = sum(count for _, count in policy.steps) if policy.cycle else 0
        tries = _or_none(policy.tries_max) if policy.steps else 0
        deadline = _or_none(policy.deadline_us)
        after = int(policy.retry_after)
        rows.append((policy.jitter_ppm, tries, deadline, after, cycle, begin, len(steps)))

    for fleet in fleets:
        add(fleet.retry)
        add(fleet.attach_retry)
    return _table(rows, at.POLICY_SIZE), _table(steps or [(0, 0)], 2)


def _fleets(fleets: Sequence[Fleet]) -> Ints:
    rows = []
    for order, fleet in enumerate(fleets):
        session = fleet.session
        rows.append(
            (
                int(fleet.outstanding == "independent"),
                int(fleet.outstanding == "hold"),
                int(session.attach == "at_start"),
                _DURATIONS[session.duration],
                session.duration_us,
                _or_none(session.reattach_every_us),
                _or_none(session.notice_us),
                fleet.buffer_messages,
                2 * order,
                2 * order + 1,
            )
        )
    return _table(rows, at.FLEET_SIZE)


def _sources(fleets: Sequence[Fleet]) -> Ints:
    rows = []
    for fleet in fleets:
        for rank, source in enumerate(sorted(fleet.traffic, key=lambda source: source.name)):
            places = (
                place(p, source.name) for p in (Purpose.RETRY, Purpose.UPSTREAM, Purpose.MIRROR)
            )
            rows.append((rank, SERVICES.index(source.service), *places))
    return _table(rows or [(0,) * at.SOURCE_SIZE], at.SOURCE_SIZE)


def _peers(vpg: Vpg) -> Ints:
    rows = [
        (index, _or_none(peer.capacity_bytes_per_s), peer.loss_ppm, -1, 0, 0)
        for index, peer in enumerate(vpg.mirror_peers)
        if peer.enabled
    ]
    return _table(rows, at.PEER_SIZE)


def _lines(fleets: Sequence[Fleet], sizes: Sequence[int]) -> Ints:
    table = np.zeros((sum(sizes), at.LINE_SIZE), np.int64)
    fleet_of = np.repeat(np.arange(len(fleets)), sizes)
    table[:, at.L_FLEET] = fleet_of
    table[:, at.L_INDEX] = np.concatenate([np.arange(size) for size in [*sizes, 0]])
    table[:, at.L_INSPECTED] = -1
    attaches = [fleet.session.attach != "on_event" for fleet in fleets]
    table[:, at.L_ATTACHES] = np.repeat(attaches, sizes)
    for head in (at.L_OPEN_HEAD, at.L_PARK_HEAD, at.L_QUEUE_HEAD):
        table[:, head : head + 2] = -1
    return table


def set_limits(state: Ints, vpg: Vpg, limits: Limits) -> None:
    """Write the limits of ``vpg`` into its row."""
    state[at.RATE] = limits.rate_per_s or 0
    state[at.BURST] = vpg.limiter.burst_requests or state[at.RATE]
    state[at.LINES_MAX] = lines.NO_CAP if limits.lines_max is None else limits.lines_max


def _vpg(scenario: Scenario, vpg: Vpg, limits: Limits, now_us: int) -> Ints:
    state = np.zeros(at.VPG_SIZE, np.int64)
    assumed, ruled = scenario.assumptions, vpg.limiter
    set_limits(state, vpg, limits)
    flag = assumed.a03_above_rate == "accept_and_flag"
    setup = assumed.a18_session_setup_per_s or 0
    values = {
        at.NOW: now_us,
        at.START: scenario.start_us,
        at.SECOND: now_us - now_us % SECOND_US,
        at.SECOND_END: now_us - now_us % SECOND_US + SECOND_US,
        at.MINUTE: now_us - now_us % MINUTE_US,
        at.MINUTE_PEAK_AT: now_us - now_us % MINUTE_US,
        at.EXISTS: 1,
        at.IDLE_US: assumed.a16_idle_timeout_us,
        at.FLAG: int(flag),
        at.CAP_POLICY: lines.POLICY_CODES[assumed.a02_above_line_cap],
        at.BY_ASSIGNMENT: int(assumed.a01_line_cap == "assigned_sims"),
        at.BUCKETED: int(ruled.kind == "token_bucket"),
        at.QUEUEING: int(ruled.above == "queue" and not flag),
        at.QUEUE_MAX: _or_none(ruled.queue_requests_max),
        at.QUEUE_DEADLINE: ruled.queue_deadline_us,
        at.SETUP_RATE: setup,
        at.SETUP_A: limiter.bucket_full(setup),
        at.SETUP_B: now_us,
        at.REPLACE_GHOSTS: int(assumed.a17_ghosts == "replaced"),
        at.FAIL_PPM: vpg.upstream.failure_ppm,
        at.TIMEOUT: vpg.upstream.timeout_us,
        at.MTU: vpg.mtu_bytes,
        at.HEADER: vpg.header_bytes,
        at.OVERHEAD: vpg.message_overhead_bytes,
        at.MIRROR_THROTTLED: int(assumed.a35_mirror_throttled),
        at.RESET: int(assumed.a03_above_rate == "reset"),
        at.CUT_BYTES: assumed.a28_cut_after_bytes or 0,
        at.CUT_US: _or_none(assumed.a28_cut_after_us),
        at.FREE_EVENT: -1,
        at.FREE_MESSAGE: -1,
    }
    for column, value in values.items():
        state[column] = value
    return state


def _services(scenario: Scenario, state: Ints, now_us: int) -> Ints:
    table = np.zeros((at.N_SERVICES, at.SERVICE_SIZE), np.int64)
    each = scenario.assumptions.a05_rate_shared == "each"
    table[:, at.V_BUCKET] = np.arange(at.N_SERVICES) if each else 0
    table[:, at.V_COST] = 1
    if scenario.assumptions.a06_beam_legs == "both":
        table[SERVICES.index("beam"), at.V_COST] = 2
    if state[at.BUCKETED]:
        table[:, at.V_A], table[:, at.V_B] = limiter.bucket_full(int(state[at.BURST])), now_us
    else:
        table[:, at.V_A] = limiter.NO_WINDOW
    return table


def memory_of(
    *,
    scenario: Scenario,
    replication: int,
    vpg: Vpg,
    limits: Limits,
    fleets: Sequence[Fleet],
    sizes: Sequence[int],
    now_us: int,
) -> Memory:
    """Return a VPG created at ``now_us`` with room for ``sizes`` lines of each of ``fleets``."""
    head = np.zeros(at.HEAD_SIZE, np.int64)
    head[: at.VPG_SIZE] = _vpg(scenario, vpg, limits, now_us)
    head[at.SERVICES_AT : at.MINUTES_AT] = _services(scenario, head, now_us).ravel()
    policies, steps = _policies(fleets)
    keys = np.array(
        [stream_key(scenario.seed, replication, fleet.name) for fleet in fleets], np.uint64
    )
    events = _EVENTS_MIN + 2 * sum(sizes)
    by_law = any(fleet.session.duration == "exponential" for fleet in fleets)
    tables = {
        "fleets": _fleets(fleets),
        "keys": keys.view(np.int64).reshape(-1, 1),
        "policies": policies,
        "steps": steps,
        "sources": _sources(fleets),
        "peers": _peers(vpg),
        "lines": _lines(fleets, sizes),
        "log_table": _table([laws.log_table()] if by_law else [], laws.LOG_STEPS + 1),
        "messages": np.zeros((_MESSAGES_MIN, at.MESSAGE_SIZE), np.int64),
        "events": np.zeros((events, at.EVENT_SIZE), np.int64),
        "heap": np.zeros((events, 1), np.int64),
        "arrivals": np.zeros((0, at.ARRIVAL_SIZE), np.int64),
    }
    head[at.N_PEERS], head[at.N_LINES] = len(tables["peers"]), len(tables["lines"])
    memory = Memory(head, tables)
    memory.clear()
    return memory
