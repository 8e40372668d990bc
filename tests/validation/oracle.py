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
from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING

from scenarios.model import (
    CarrierOutage,
    ForcedCut,
    PowerCut,
    RetryPolicy,
    Scenario,
    UpstreamFault,
)
from sim.traffic.arrivals import Stream
from sim.traffic.draws import Draws, Purpose, place, stream_key
from tests.validation.oracle_parts import Gate, Line, Message, SessionAtVpg
from vpg.rating.histogram import bucket_of
from vpg.timebase import HOUR_US, SECOND_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.catalogue.model import Catalogue

Flows = dict[tuple[str, int], Counter[str]]
TIMER, NOTICE, ATTACH, RELEASE, OLDER, NEW = range(6)


class Oracle:
    """One run."""

    def __init__(self, scenario: Scenario, catalogue: Catalogue) -> None:
        self.scenario = scenario
        self.heap: list[tuple[tuple[object, ...], int, Callable[[], None]]] = []
        self.serial = 0
        self.now_us = scenario.start_us
        self.flows: Flows = defaultdict(Counter)
        self.delays: dict[str, Counter[int]] = defaultdict(Counter)
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
                    first = (self.scenario.start_us, 0, 0, line.rank, line.number)
                    self._push(first, partial(self._begin_attach, line))
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
        self,
        line: Line,
        at_us: int,
        kind: int,
        act: Callable[..., None],
        *given: object,
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
                    batch.lines.tolist(),
                    batch.times_us.tolist(),
                    batch.numbers.tolist(),
                    batch.bytes_up.tolist(),
                    batch.bytes_down.tolist(),
                    strict=True,
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
            session = line.session
            if isinstance(event, PowerCut):
                line.powers_off += 1
                self._leave_ghost(session)
                self._cancel(line)
            else:
                line.radios_off += 1
                if event.sessions == "cut":
                    self._cut_session(line)
                elif session is not None and not session.ghost:
                    self._leave_ghost(session)
                    self._plan_notice(line)

    def _on(self, event: CarrierOutage | PowerCut) -> None:
        for line in self._lines_of(event.fleets):
            if isinstance(event, PowerCut):
                line.powers_off -= 1
                wants = line.fleet.session.attach != "on_event"
            else:
                line.radios_off -= 1
                wants = line.belief != "idle" or line.fleet.session.attach == "at_start"
                wants = wants and not line.radios_off
            if wants and not line.powers_off:
                self._begin_attach(line)

    def _cut(self, event: ForcedCut) -> None:
        for line in self._lines_of(event.fleets):
            self._cut_session(line)

    def _cut_session(self, line: Line) -> None:
        """Let the platform delete the session; the device does not know."""
        if line.session is None:
            return
        was_ghost = line.session.ghost
        self._end_session(line.session)
        if not was_ghost:
            self._plan_notice(line)

    def _plan_notice(self, line: Line) -> None:
        notice_us = line.fleet.session.notice_us
        if notice_us is not None and line.belief == "attached":
            at_us = self.now_us + notice_us
            self._later(line, at_us, NOTICE, self._notice, line, line.attach_serial)

    def _fault(self, event: UpstreamFault, change: int) -> None:
        gate = self.gates[event.vpg_id]
        for service in event.services:
            if event.mode == "down":
                gate.down[service] += change
            else:
                gate.slow[service] += change * event.delay_us

    # ---- sessions ------------------------------------------------------------------------------

    def _leave_ghost(self, session: SessionAtVpg | None) -> None:
        if session is not None and not session.ghost:
            session.ghost = True
            self._watch(session)

    def _end_session(self, session: SessionAtVpg) -> None:
        session.gone = True
        session.line.gate.sessions.discard(session)
        session.line.session = None
        self._count(session.line, "sessions_deleted")

    def _watch(self, session: SessionAtVpg) -> None:
        idle_us = session.line.gate.idle_us
        if idle_us:
            ends_us = max(session.seen_us + idle_us, self.now_us)
            self._later(session.line, ends_us, TIMER, self._idle, session)

    def _idle(self, session: SessionAtVpg) -> None:
        if session.gone:
            return
        if self.now_us < session.seen_us + session.line.gate.idle_us:
            self._watch(session)
            return
        self._end_session(session)
        if not session.ghost:
            session.line.belief = "idle"

    def _notice(self, line: Line, serial: int) -> None:
        useless = line.session is None or line.session.ghost
        if serial == line.attach_serial and line.belief == "attached" and useless:
            self._learn(line)

    def _learn(self, line: Line) -> None:
        """Let the device see that its session is of no use, and attach anew."""
        line.belief = "idle"
        self._begin_attach(line)

    def _begin_attach(self, line: Line) -> None:
        line.belief = "attaching"
        line.gave_up = False
        line.attach_serial += 1
        line.attach_tries = 0
        line.attach_first_us = self.now_us
        self._attach(line, line.attach_serial)

    def _attach(self, line: Line, serial: int) -> None:
        if serial != line.attach_serial or line.belief != "attaching" or line.radios_off:
            return
        gate = line.gate
        self._count(line, "attach_attempts")
        line.attach_tries += 1
        if line.session is not None:
            assert line.session.ghost
            self._end_session(line.session)
        if len(gate.sessions) < gate.cap:
            session = SessionAtVpg(seen_us=self.now_us, line=line)
            gate.sessions.add(session)
            line.session = session
            line.belief = "attached"
            self._count(line, "sessions_created")
            self._watch(session)
            self._unpark(line)
            self._drain(line)
            return
        self._count(line, "sessions_refused")
        delay_us = self._delay(line, line.fleet.attach_retry, line.attach_tries, 0, None)
        if isinstance(delay_us, str) or self._too_late(
            line.fleet.attach_retry, self.now_us + delay_us, line.attach_first_us
        ):
            line.belief = "idle"
            line.gave_up = True
            self._unpark(line)
            self._drain(line)
        else:
            self._later(line, self.now_us + delay_us, ATTACH, self._attach, line, serial)

    def _unpark(self, line: Line) -> None:
        """Attaching is over, for better or worse: what waited for it tries."""
        waiting, line.parked = line.parked, []
        for message in waiting:
            if line.belief == "attaching":
                line.parked.append(message)
            else:
                self._try(line, message)

    # ---- messages ------------------------------------------------------------------------------

    def _create(self, line: Line, message: Message) -> None:
        if line.powers_off:
            return
        self._count(line, "messages_offered")
        line.gave_up = False
        line.open[id(message)] = message
        if line.single and line.holder is not None:
            if line.fleet.outstanding == "hold" and line.room:
                line.backlog.append(message)
                self._plan_expiry(line, message)
            else:
                self._close(line, message, "lost_buffer")
            return
        if line.single:
            line.holder = message
        self._submit(line, message)
        self._drain(line)

    def _submit(self, line: Line, message: Message) -> None:
        may = line.fleet.session.attach != "on_event"
        if line.belief == "idle" and not line.gave_up and may:
            self._begin_attach(line)
        if line.belief != "attaching":
            self._try(line, message)
        elif line.room:
            line.parked.append(message)
            self._plan_expiry(line, message)
        else:
            self._close(line, message, "lost_buffer")

    def _plan_expiry(self, line: Line, message: Message) -> None:
        deadline_us = line.fleet.retry.deadline_us
        if deadline_us is not None:
            at_us = max(self.now_us, message.created_us + deadline_us)
            self._later(line, at_us, OLDER, self._expire, line, message, age=message.age())

    def _expire(self, line: Line, message: Message) -> None:
        for waiting in (line.parked, line.backlog):
            if message in waiting:
                waiting.remove(message)
                self._close(line, message, "lost_deadline")
                self._drain(line)

    def _cancel(self, line: Line) -> None:
        for message in list(line.open.values()):
            self._close(line, message, "lost_cancelled")
        line.parked.clear()
        line.backlog.clear()
        line.holder = None
        line.belief = "idle"
        line.attach_serial += 1

    def _close(self, line: Line, message: Message, how: str, path_us: int = 0) -> None:
        self._count(line, how)
        del line.open[id(message)]
        if line.holder is message:
            if path_us:
                at_us = self.now_us + path_us
                self._later(line, at_us, RELEASE, self._free, line, message)
            else:
                line.holder = None

    def _free(self, line: Line, message: Message) -> None:
        if line.holder is message:
            line.holder = None
            self._drain(line)

    def _drain(self, line: Line) -> None:
        while line.backlog and line.holder is None:
            line.holder = line.backlog.popleft()
            self._submit(line, line.holder)

    def _again(self, line: Line, message: Message) -> None:
        if id(message) in line.open:
            self._submit(line, message)
            self._drain(line)

    def _try(self, line: Line, message: Message) -> None:
        message.tries += 1
        gate = line.gate
        useless = line.session is None or line.session.ghost
        if line.belief != "attached" or useless or line.radios_off:
            believed = line.belief == "attached"
            self._decide(line, message, "no_session")
            if believed:
                self._learn(line)
            return
        assert line.session is not None
        line.session.seen_us = self.now_us
        if message.service == "ip":
            self._up(line, message)
            return
        wait_us, retry_after_us = gate.admit(self.now_us)
        if wait_us == 0:
            self._up(line, message)
        elif wait_us == -1:
            self._decide(line, message, "throttled", retry_after_us)
        else:
            expires = wait_us == -2
            wait_us = gate.vpg.limiter.queue_deadline_us if expires else wait_us
            self._later(
                line,
                self.now_us + wait_us,
                OLDER,
                self._leave_queue,
                line,
                message,
                expires,
                age=message.age(),
            )

    def _leave_queue(self, line: Line, message: Message, expires: bool) -> None:
        if id(message) not in line.open:
            return
        if expires:
            asked_us = line.gate.retry_after_us(self.now_us)
            self._decide(line, message, "throttled", asked_us)
        else:
            self._up(line, message)
        self._drain(line)

    def _up(self, line: Line, message: Message) -> None:
        gate, upstream = line.gate, line.gate.vpg.upstream
        path_us = upstream.delay_us + gate.slow[message.service]
        if gate.down[message.service]:
            self._decide(line, message, "failed_upstream")
        elif path_us > upstream.timeout_us:
            self._decide(line, message, "failed_upstream", path_us=upstream.timeout_us)
        else:
            self._decide(line, message, "accepted", path_us=path_us)

    def _decide(
        self, line: Line, message: Message, outcome: str, retry_after_us: int = 0, path_us: int = 0
    ) -> None:
        self._count(line, f"attempts_{message.service}")
        self._count(line, f"{outcome}_{message.service}")
        if outcome == "accepted":
            self._count(line, "bytes_up", message.up)
            self._count(line, "bytes_down", message.down)
            took_us = self.now_us - message.created_us + path_us
            self.delays[line.gate.vpg.id][bucket_of(took_us)] += 1
            self._close(line, message, "messages_delivered", path_us)
            return
        asked_us = (
            max(1, -(-retry_after_us // SECOND_US)) * SECOND_US if outcome == "throttled" else 0
        )
        delay_us = self._delay(line, line.fleet.retry, message.tries, asked_us, message)
        if isinstance(delay_us, str):
            self._close(line, message, delay_us, path_us)
            return
        at_us = self.now_us + path_us + delay_us
        if self._too_late(line.fleet.retry, at_us, message.created_us):
            self._close(line, message, "lost_deadline", path_us)
        else:
            self._later(line, at_us, OLDER, self._again, line, message, age=message.age())

    @staticmethod
    def _too_late(policy: RetryPolicy, at_us: int, since_us: int) -> bool:
        return policy.deadline_us is not None and at_us > since_us + policy.deadline_us

    def _delay(
        self, line: Line, policy: RetryPolicy, nth: int, asked_us: int, message: Message | None
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
            delay_us += (self._word(line, nth, message) * 2 * swing_us >> 64) - swing_us
        return max(delay_us, 1)

    def _word(self, line: Line, nth: int, message: Message | None) -> int:
        draws = Draws(stream_key(self.scenario.seed, 0, line.fleet.name))
        if message is None:
            where = place(Purpose.ATTACH_RETRY)
            return draws.words(line.number, where, line.attach_serial, nth)[0]
        where = place(Purpose.RETRY, message.source)
        return draws.words(line.number, where, message.number, (nth - 1) // 4)[(nth - 1) % 4]
