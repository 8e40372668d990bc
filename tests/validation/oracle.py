"""A second simulator, written from the model's text alone, to hold against the first.

One heap of instants, no processes, limiters in fractions of a second and by counting. It takes the
times and sizes of messages from ``sim.traffic.arrivals`` and the jitter's words from ``draws``
(both are checked against laws elsewhere); everything else is its own. It knows: sessions and idle
timeout, ghosts, line cap, attach retries, buffers, hold and drop, both limiters, refusing and
queueing, retries with Retry-After, deadlines, outages, power cuts, forced cuts, upstream faults.
It does not know: Junction, growth, line states, deletion or change of a VPG.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from scenarios.model import (
    CarrierOutage,
    Fleet,
    ForcedCut,
    PowerCut,
    RetryPolicy,
    Scenario,
    UpstreamFault,
    Vpg,
)
from sim.traffic.arrivals import Stream
from sim.traffic.draws import Draws, Purpose, place, stream_key
from vpg.timebase import HOUR_US, SECOND_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.catalogue.model import Catalogue

Flows = dict[tuple[str, int], Counter[str]]
TIMER, NOTICE, ATTACH, OLDER, NEW = range(5)


@dataclass(slots=True)
class Message:
    created_us: int
    source: str
    service: str
    number: int
    up: int
    down: int
    tries: int = 0
    lost: bool = False

    def age(self) -> tuple[int, str, int]:
        return self.created_us, self.source, self.number


@dataclass(slots=True, eq=False)
class SessionAtVpg:
    seen_us: int
    line: Line
    ghost: bool = False
    gone: bool = False


@dataclass(slots=True, eq=False)
class Line:
    fleet: Fleet
    rank: int
    number: int
    gate: Gate
    belief: str = "idle"
    off: bool = False
    """Without power or radio."""
    session: SessionAtVpg | None = None
    waiting: deque[Message] = field(default_factory=deque)
    moving: set[int] = field(default_factory=set)
    attach_tries: int = 0
    attach_first_us: int = 0
    epoch: int = 0
    """Rises when what was planned for attaching no longer holds."""


class Gate:
    """One VPG."""

    def __init__(self, vpg: Vpg, catalogue: Catalogue, idle_us: int) -> None:
        cap = catalogue.limits(vpg.type, vpg.size, vpg.created_at_us)
        self.vpg = vpg
        self.cap = cap.lines_max if cap.lines_max is not None else 1 << 60
        self.rate = cap.rate_per_s if cap.rate_per_s is not None else 1 << 30
        self.burst = vpg.limiter.burst_requests or self.rate
        self.idle_us = idle_us
        self.sessions: set[SessionAtVpg] = set()
        self.level = Fraction(self.burst)
        self.level_at_us = 0
        self.taken: Counter[int] = Counter()
        self.promised: deque[int] = deque()
        self.down: Counter[str] = Counter()
        self.slow: Counter[str] = Counter()
        self.peak = 0

    def admit(self, now_us: int) -> tuple[int, int]:
        """Return (wait in µs, 0), or (-1, µs to Retry-After) when refused, or (-2, 0) when it expires."""
        limiter = self.vpg.limiter
        if limiter.kind == "fixed_window":
            return self._window(now_us)
        gap = Fraction(max(0, now_us - self.level_at_us), SECOND_US)
        level = min(Fraction(self.burst), self.level + gap * self.rate)
        if level >= 1:
            self.level, self.level_at_us = level - 1, now_us
            return 0, 0
        self.level, self.level_at_us = level, now_us
        missing = (1 - level) / self.rate * SECOND_US
        wait_us = -(-missing.numerator // missing.denominator)
        if limiter.above == "reject":
            return -1, wait_us
        while self.promised and self.promised[0] <= now_us:
            self.promised.popleft()
        if limiter.queue_requests_max is not None and len(self.promised) >= limiter.queue_requests_max:
            return -1, wait_us
        if wait_us > limiter.queue_deadline_us:
            return -2, 0
        # At its slot the bucket may have no room for what refills up to the whole microsecond.
        at_slot = min(Fraction(self.burst), level + Fraction(wait_us, SECOND_US) * self.rate)
        self.level = at_slot - 1 - Fraction(wait_us, SECOND_US) * self.rate
        self.promised.append(now_us + wait_us)
        return wait_us, 0

    def _window(self, now_us: int) -> tuple[int, int]:
        limiter = self.vpg.limiter
        second = now_us // SECOND_US
        if limiter.above == "reject":
            if self.taken[second] < self.rate:
                self.taken[second] += 1
                return 0, 0
            return -1, (second + 1) * SECOND_US - now_us
        slot = second
        while self.taken[slot] >= self.rate:
            slot += 1
        wait_us = max(0, slot * SECOND_US - now_us)
        while self.promised and self.promised[0] <= now_us:
            self.promised.popleft()
        if wait_us:
            if limiter.queue_requests_max is not None and len(self.promised) >= limiter.queue_requests_max:
                return -1, (second + 1) * SECOND_US - now_us
            if wait_us > limiter.queue_deadline_us:
                return -2, 0
            self.promised.append(now_us + wait_us)
        self.taken[slot] += 1
        return wait_us, 0


class Oracle:
    """One run."""

    def __init__(self, scenario: Scenario, catalogue: Catalogue) -> None:
        self.scenario = scenario
        self.heap: list[tuple[tuple[object, ...], int, Callable[[], None]]] = []
        self.serial = 0
        self.now_us = scenario.start_us
        self.flows: Flows = defaultdict(Counter)
        idle_us = scenario.assumptions.a16_idle_timeout_us
        self.gates = {vpg.id: Gate(vpg, catalogue, idle_us) for vpg in scenario.vpgs}
        self.fleets: dict[str, list[Line]] = {}
        for rank, fleet in enumerate(sorted(scenario.fleets, key=lambda fleet: fleet.name)):
            gate = self.gates[fleet.vpg_id]
            self.fleets[fleet.name] = [
                Line(fleet=fleet, rank=rank, number=i, gate=gate) for i in range(fleet.lines)
            ]

    def run(self) -> Flows:
        for lines in self.fleets.values():
            self._plan_messages(lines)
            for line in lines:
                if line.fleet.session.attach == "at_start":
                    self._later(line, self.scenario.start_us, ATTACH, self._begin_attach, line)
        for place_, event in enumerate(self.scenario.events):
            self._plan_event(place_, event)
        while self.heap:
            key, _, act = heapq.heappop(self.heap)
            now_us = key[0]
            assert isinstance(now_us, int)
            if now_us >= self.scenario.end_us:
                break
            self.now_us = now_us
            act()
        return self.flows

    # ---- planning ------------------------------------------------------------------------------

    def _push(self, key: tuple[object, ...], act: Callable[[], None]) -> None:
        self.serial += 1
        heapq.heappush(self.heap, (key, self.serial, act))

    def _later(
        self, line: Line, at_us: int, kind: int, act: Callable[..., None], *given: object,
        age: tuple[int, str, int] = (0, "", 0),
    ) -> None:
        key = (at_us, 1, line.rank, line.number, kind, age)
        self._push(key, lambda: act(*given))

    def _plan_messages(self, lines: list[Line]) -> None:
        if not lines:
            return
        fleet = lines[0].fleet
        for source in fleet.traffic:
            stream = Stream(seed=self.scenario.seed, replication=0, fleet=fleet, source=source)
            first = self.scenario.start_us // HOUR_US * HOUR_US
            for hour_us in range(first, self.scenario.end_us, HOUR_US):
                batch = stream.hour(hour_us, len(lines))
                rows = zip(
                    batch.lines.tolist(), batch.times_us.tolist(), batch.numbers.tolist(),
                    batch.bytes_up.tolist(), batch.bytes_down.tolist(), strict=True,
                )
                for which, at_us, number, up, down in rows:
                    if at_us < self.scenario.start_us:
                        continue
                    message = Message(at_us, source.name, source.service, number, up, down)
                    line = lines[which]
                    self._later(line, at_us, NEW, self._create, line, message, age=message.age())

    def _plan_event(self, file_place: int, event: object) -> None:
        if isinstance(event, CarrierOutage | PowerCut):
            self._push((event.at_us, 0, 2, file_place), lambda: self._off(event))
            if event.until_us < self.scenario.end_us:
                self._push((event.until_us, 0, 1, file_place), lambda: self._on(event))
        elif isinstance(event, ForcedCut):
            self._push((event.at_us, 0, 2, file_place), lambda: self._cut(event))
        elif isinstance(event, UpstreamFault):
            self._push((event.at_us, 0, 2, file_place), lambda: self._fault(event, 1))
            self._push((event.until_us, 0, 1, file_place), lambda: self._fault(event, -1))
        else:
            raise TypeError(type(event))

    def _count(self, line: Line, name: str, many: int = 1) -> None:
        hour_us = self.now_us // HOUR_US * HOUR_US
        self.flows[line.gate.vpg.id, hour_us][name] += many

    # ---- events --------------------------------------------------------------------------------

    def _lines_of(self, names: tuple[str, ...]) -> list[Line]:
        return [line for name in sorted(names) for line in self.fleets[name]]

    def _off(self, event: CarrierOutage | PowerCut) -> None:
        for line in self._lines_of(event.fleets):
            line.off = True
            line.epoch += 1
            line.belief = "idle"
            if isinstance(event, CarrierOutage) and event.sessions == "cut":
                self._end_session(line.session)
            elif line.session is not None:
                line.session.ghost = True
            if isinstance(event, PowerCut):
                self._lose_everything(line)

    def _on(self, event: CarrierOutage | PowerCut) -> None:
        for line in self._lines_of(event.fleets):
            line.off = False
            if line.waiting or line.fleet.session.attach == "at_start":
                self._later(line, self.now_us, ATTACH, self._begin_attach, line)

    def _cut(self, event: ForcedCut) -> None:
        for line in self._lines_of(event.fleets):
            if line.session is not None and not line.session.ghost:
                self._end_session(line.session)
                self._plan_notice(line)

    def _plan_notice(self, line: Line) -> None:
        notice_us = line.fleet.session.notice_us
        if notice_us is not None:
            self._later(line, self.now_us + notice_us, NOTICE, self._notice, line, line.epoch)

    def _fault(self, event: UpstreamFault, change: int) -> None:
        gate = self.gates[event.vpg_id]
        for service in event.services:
            if event.mode == "down":
                gate.down[service] += change
            else:
                gate.slow[service] += change * event.delay_us

    # ---- sessions ------------------------------------------------------------------------------

    def _end_session(self, session: SessionAtVpg | None) -> None:
        if session is None or session.gone:
            return
        session.gone = True
        session.line.gate.sessions.discard(session)
        if session.line.session is session:
            session.line.session = None
        self._count(session.line, "sessions_deleted")

    def _touch(self, session: SessionAtVpg) -> None:
        session.seen_us = self.now_us

    def _watch(self, session: SessionAtVpg) -> None:
        idle_us = session.line.gate.idle_us
        if not idle_us:
            return
        ends_us = session.seen_us + idle_us
        self._later(session.line, ends_us, TIMER, self._idle, session)

    def _idle(self, session: SessionAtVpg) -> None:
        if session.gone:
            return
        if self.now_us < session.seen_us + session.line.gate.idle_us:
            self._watch(session)
            return
        ghost = session.ghost
        self._end_session(session)
        if not ghost:
            session.line.belief = "idle"
            session.line.epoch += 1

    def _notice(self, line: Line, epoch: int) -> None:
        if epoch == line.epoch and line.belief == "attached" and line.session is None:
            self._learn(line)

    def _learn(self, line: Line) -> None:
        """The device sees that its session is gone."""
        line.belief = "idle"
        line.epoch += 1
        if line.fleet.session.attach == "at_start" or line.waiting:
            self._later(line, self.now_us, ATTACH, self._begin_attach, line)

    def _begin_attach(self, line: Line) -> None:
        if line.off or line.belief != "idle":
            return
        line.belief = "attaching"
        line.epoch += 1
        line.attach_tries = 0
        line.attach_first_us = self.now_us
        self._attach(line, line.epoch)

    def _attach(self, line: Line, epoch: int) -> None:
        if epoch != line.epoch or line.off:
            return
        gate = line.gate
        self._count(line, "attach_attempts")
        line.attach_tries += 1
        old = line.session
        if old is not None:
            self._end_session(old)
        if len(gate.sessions) < gate.cap:
            session = SessionAtVpg(seen_us=self.now_us, line=line)
            gate.sessions.add(session)
            gate.peak = max(gate.peak, len(gate.sessions))
            line.session = session
            line.belief = "attached"
            self._count(line, "sessions_created")
            self._watch(session)
            self._drain(line)
            return
        self._count(line, "sessions_refused")
        delay_us = self._delay(
            line, line.fleet.attach_retry, line.attach_tries, 0, line.attach_first_us,
            Purpose.ATTACH_RETRY, "", 0,
        )
        if isinstance(delay_us, str):
            line.belief = "idle"
            line.epoch += 1
            self._no_session(line)
        else:
            self._later(line, self.now_us + delay_us, ATTACH, self._attach, line, epoch)

    def _no_session(self, line: Line) -> None:
        """Attaching was given up: what waits tries without a session."""
        waiting = list(line.waiting)
        line.waiting.clear()
        for message in waiting:
            line.moving.add(id(message))
            self._try(line, message)

    # ---- messages ------------------------------------------------------------------------------

    def _single(self, line: Line) -> bool:
        return line.fleet.outstanding != "independent"

    def _create(self, line: Line, message: Message) -> None:
        if line.off and self._powerless(line):
            return
        self._count(line, "messages_offered")
        if line.fleet.outstanding == "drop" and (line.moving or line.waiting):
            self._count(line, "lost_buffer")
            return
        if line.belief == "attached" and not (self._single(line) and line.moving):
            line.moving.add(id(message))
            self._try(line, message)
            return
        if len(line.waiting) >= line.fleet.buffer_messages:
            self._count(line, "lost_buffer")
        else:
            line.waiting.append(message)
        if line.belief == "idle" and not line.off:
            self._begin_attach(line)

    def _powerless(self, line: Line) -> bool:
        return any(
            isinstance(event, PowerCut)
            and line.fleet.name in event.fleets
            and event.at_us <= self.now_us < event.until_us
            for event in self.scenario.events
        )

    def _lose_everything(self, line: Line) -> None:
        self._count(line, "lost_cancelled", len(line.waiting) + len(line.moving))
        line.waiting.clear()
        line.moving.clear()

    def _drain(self, line: Line) -> None:
        while line.waiting and line.belief == "attached":
            if self._single(line) and line.moving:
                return
            message = line.waiting.popleft()
            line.moving.add(id(message))
            self._try(line, message)

    def _again(self, line: Line, message: Message) -> None:
        if id(message) not in line.moving:
            return
        if line.belief == "attached":
            self._try(line, message)
            return
        line.moving.discard(id(message))
        line.waiting.append(message)
        line.waiting = deque(sorted(line.waiting, key=Message.age))
        if line.belief == "idle" and not line.off:
            self._begin_attach(line)

    def _try(self, line: Line, message: Message) -> None:
        message.tries += 1
        gate = line.gate
        if line.session is None:
            self._decide(line, message, "no_session")
            if line.belief == "attached":
                self._learn(line)
            return
        self._touch(line.session)
        if message.service == "ip":
            self._up(line, message)
            return
        wait_us, retry_after_us = gate.admit(self.now_us)
        later = self.now_us + max(wait_us, 0)
        if wait_us == -2:
            deadline_us = self.now_us + gate.vpg.limiter.queue_deadline_us
            self._later(line, deadline_us, OLDER, self._decide, line, message, "throttled",
                        age=message.age())
        elif wait_us == -1:
            self._decide(line, message, "throttled", retry_after_us)
        elif wait_us == 0:
            self._up(line, message)
        else:
            self._later(line, later, OLDER, self._up, line, message, age=message.age())

    def _up(self, line: Line, message: Message) -> None:
        gate, upstream = line.gate, line.gate.vpg.upstream
        delay_us = upstream.delay_us + gate.slow[message.service]
        if gate.down[message.service]:
            delay_us, outcome = 0, "failed_upstream"
        elif delay_us > upstream.timeout_us:
            delay_us, outcome = upstream.timeout_us, "failed_upstream"
        else:
            outcome = "accepted"
        if delay_us:
            self._later(line, self.now_us + delay_us, OLDER, self._decide, line, message, outcome,
                        age=message.age())
        else:
            self._decide(line, message, outcome)

    def _decide(self, line: Line, message: Message, outcome: str, retry_after_us: int = 0) -> None:
        self._count(line, f"attempts_{message.service}")
        self._count(line, f"{outcome}_{message.service}")
        alive = id(message) in line.moving
        if outcome == "accepted":
            self._count(line, "bytes_up", message.up)
            self._count(line, "bytes_down", message.down)
        if not alive:
            return
        if outcome == "accepted":
            self._count(line, "messages_delivered")
            self._finish(line, message)
            return
        asked_us = -(-retry_after_us // SECOND_US) * SECOND_US
        delay_us = self._delay(
            line, line.fleet.retry, message.tries, asked_us, message.created_us,
            Purpose.RETRY, message.source, message.number,
        )
        if isinstance(delay_us, str):
            self._count(line, delay_us)
            self._finish(line, message)
        else:
            self._later(line, self.now_us + delay_us, OLDER, self._again, line, message,
                        age=message.age())

    def _finish(self, line: Line, message: Message) -> None:
        line.moving.discard(id(message))
        if line.belief == "attached":
            self._drain(line)

    def _delay(  # noqa: PLR0917 - what a policy may look at
        self, line: Line, policy: RetryPolicy, nth: int, asked_us: int, since_us: int,
        purpose: Purpose, source: str, number: int,
    ) -> int | str:
        steps = [delay for delay, count in policy.steps for _ in range(count)]
        if not steps or (policy.tries_max is not None and nth > policy.tries_max):
            return "lost_tries"
        at = nth - 1
        delay_us = steps[at % len(steps)] if policy.cycle else steps[min(at, len(steps) - 1)]
        if policy.retry_after:
            delay_us = max(delay_us, asked_us)
        if policy.jitter_ppm:
            swing_us = delay_us * policy.jitter_ppm // 1_000_000
            draws = Draws(stream_key(self.scenario.seed, 0, line.fleet.name))
            word = draws.words(line.number, place(purpose, source), number, nth)[0]
            delay_us += (word * 2 * swing_us >> 64) - swing_us
        delay_us = max(delay_us, 1)
        if policy.deadline_us is not None and self.now_us + delay_us > since_us + policy.deadline_us:
            return "lost_deadline"
        return delay_us
