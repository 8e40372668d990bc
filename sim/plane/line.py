"""One line in the reference plane: a SimPy process that creates messages, and what becomes of them.

Owns: the device's side of messages: waiting, trying, retrying, holding, giving up. Does not own:
sessions (``session``) and what the VPG decides (``gateway``). Times: ``SimUs``.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from sim.plane import alarm as orders
from sim.plane import gateway as gw
from sim.plane.alarm import Alarm
from sim.plane.message import Message
from sim.plane.session import ATTACHED, ATTACHING, IDLE, SessionSide
from vpg.rating.histogram import bucket_of
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Generator

    import simpy

    from scenarios.model import LineStatus
    from sim.plane.fleet import FleetState
    from sim.plane.message import Origin

Created = tuple[int, "Origin", int, int, int]
"""(created_us, origin, number, bytes_up, bytes_down)."""


class Line(SessionSide):
    """A SIM line and its device."""

    __slots__ = (
        "busy",
        "busy_no",
        "first_order",
        "inbox",
        "origin_us",
        "parked",
        "queue",
        "releasing",
        "undecided",
        "wake",
    )

    def __init__(self, *, fleet: FleetState, index: int, rank: int, status: LineStatus) -> None:
        """Create line ``index`` of ``fleet``; ``rank`` orders all lines of the run."""
        super().__init__(fleet=fleet, index=index, rank=rank, status=status)
        self.first_order = orders.first_try_order(rank)
        self.origin_us = fleet.start_us
        self.busy = False
        """One message is in flight (outstanding: hold, drop)."""
        self.busy_no = 0
        """Messages that were in flight so far."""
        self.releasing = False
        self.parked: list[Message] = []
        """Messages that wait for a session."""
        self.queue: deque[Message] = deque()
        """Messages that wait for the line to be free (outstanding: hold)."""
        self.undecided: dict[Message, None] = {}
        """Open messages whose fate takes time, in order of creation."""
        self.inbox: list[Created] = []
        """What the line creates until the end of the loaded hour, last first."""
        self.wake: simpy.Event | None = None
        self.clock.process(self.life())

    # ---- creating messages ---------------------------------------------------------------------

    def life(self) -> Generator[simpy.Event, Any, None]:
        """Create each message of the inbox at its time; sleep until the next one is filled."""
        alarm = Alarm(self.clock)
        while True:
            while self.inbox:
                created_us, origin, number, bytes_up, bytes_down = self.inbox.pop()
                yield alarm.set(created_us, self.first_order)
                if self.sending:
                    self.create(created_us, origin, number, bytes_up, bytes_down)
            self.wake = self.clock.event()
            yield self.wake

    def create(
        self, now_us: int, origin: Origin, number: int, bytes_up: int, bytes_down: int
    ) -> None:
        """Let the device want one more message delivered."""
        gateway = self.gateway
        tally = gateway.tally
        tally.messages_offered += 1
        self.gave_up = False
        if (
            self.session
            and self.state == ATTACHED
            and self.fleet.independent
            and gateway.plain_path
            and not gateway.watching
        ):
            # What nearly every message does: one try, admitted at once, nothing to remember.
            service = origin.service
            self.last_activity_us = now_us
            decision, wait_us = gateway.ask(service, now_us)
            if decision == gw.ACCEPTED:
                tally = gateway.tally
                tally.attempts[service] += 1
                tally.accepted[service] += 1
                tally.bytes_up += bytes_up
                tally.bytes_down += bytes_down
                tally.messages_delivered += 1
                tally.delays[0] = tally.delays.get(0, 0) + 1
                if self.fleet.cut_after_bytes:
                    self._count_bytes(bytes_up + bytes_down)
                return
            message = Message(origin, number, now_us, bytes_up, bytes_down)
            self._open(message)
            message.tries = 1
            self._decided_or_waiting(message, decision, wait_us)
            return
        message = Message(origin, number, now_us, bytes_up, bytes_down)
        self._open(message)
        if self.fleet.independent:
            self.submit(message)
        elif not self.busy:
            self._occupy()
            self.submit(message)
            self.release()
        elif self.fleet.holds and self._has_buffer():
            self._wait_in(self.queue, message)
        else:
            self.lose(message, "lost_buffer", in_flight=False)

    def _open(self, message: Message) -> None:
        self.undecided[message] = None
        self.gateway.count_pending(1, self.clock.now)

    def _has_buffer(self) -> bool:
        return len(self.parked) + len(self.queue) < self.fleet.fleet.buffer_messages

    def _wait_in(self, queue: list[Message] | deque[Message], message: Message) -> None:
        queue.append(message)
        deadline_us = self.fleet.backoff.deadline_us
        if deadline_us is not None:
            at_us = max(message.created_us + deadline_us, self.clock.now)
            Alarm(self.clock, self._expire).set(at_us, self._order(message), (message, queue))

    def _expire(self, alarm: Alarm) -> None:
        message, queue = alarm.note
        if message.open and message in queue:
            queue.remove(message)
            self.lose(message, "lost_deadline", in_flight=queue is self.parked)
            self.release()

    def _order(self, message: Message) -> int:
        return orders.retry_order(
            self.rank,
            message.created_us - self.origin_us,
            message.origin.rank,
            message.number,
            message.tries,
        )

    def submit(self, message: Message) -> None:
        """Try ``message`` now, attaching first where the device knows that it must."""
        if self.state == IDLE and not self.gave_up and self.attaches_itself:
            self.start_attach()
        if self.state == ATTACHING:
            if self._has_buffer():
                self._wait_in(self.parked, message)
            else:
                self.lose(message, "lost_buffer")
            return
        self._try(message)

    def _try(self, message: Message) -> None:
        message.tries += 1
        now_us = self.clock.now
        gateway = self.gateway
        if self.state != ATTACHED or not self.session or self.radio_cuts:
            self._decide(message, gw.NO_SESSION)
            return
        self.last_activity_us = now_us
        if gateway.inspecting and self.inspected_hour != now_us // HOUR_US:
            self.inspected_hour = now_us // HOUR_US
            gateway.tally.lines_inspected += 1
        decision, wait_us = gateway.ask(message.origin.service, now_us)
        self._decided_or_waiting(message, decision, wait_us)

    def _decided_or_waiting(self, message: Message, decision: int, wait_us: int) -> None:
        if decision in {gw.WAITING, gw.DECISION_EXPIRES}:
            outcome = gw.ACCEPTED if decision == gw.WAITING else gw.THROTTLED
            at_us = self.clock.now + wait_us
            Alarm(self.clock, self._queue_ends).set(at_us, self._order(message), (message, outcome))
            return
        self._decide(message, decision)

    def _queue_ends(self, alarm: Alarm) -> None:
        message, outcome = alarm.note
        if message.open:
            self._decide(message, outcome)
            self.release()

    def _decide(self, message: Message, outcome: int) -> None:
        gateway = self.gateway
        if self.clock.now >= gateway.second_end_us:
            gateway.turn(self.clock.now)
        tally = gateway.tally
        service = message.origin.service
        tally.attempts[service] += 1
        if outcome == gw.NO_SESSION:
            tally.no_session[service] += 1
            noticed = self.state == ATTACHED
            self._fail(message, 0, 0)
            if noticed:
                self.notice()
            return
        if outcome == gw.THROTTLED:
            tally.throttled[service] += 1
            self._mirror(message, None, throttled=True)
            asked_us = (
                gateway.retry_after_us(service, self.clock.now)
                if self.fleet.backoff.retry_after
                else 0
            )
            self._fail(message, asked_us, 0)
            return
        delivered, path_us = True, 0
        if not gateway.plain_path:
            delivered, path_us = gateway.pass_on(
                self, message.origin, message.number, message.tries
            )
        if not delivered:
            tally.failed_upstream[service] += 1
            self._mirror(message, None, throttled=False)
            self._fail(message, 0, path_us)
            return
        tally.accepted[service] += 1
        tally.bytes_up += message.bytes_up
        tally.bytes_down += message.bytes_down
        self._mirror(message, message.bytes_down, throttled=False)
        tally.messages_delivered += 1
        bucket = bucket_of(self.clock.now - message.created_us + path_us)
        tally.delays[bucket] = tally.delays.get(bucket, 0) + 1
        self._close(message)
        if self.fleet.cut_after_bytes:
            self._count_bytes(message.bytes_up + message.bytes_down)
        self._free(path_us)

    def _mirror(self, message: Message, answer_bytes: int | None, *, throttled: bool) -> None:
        gateway = self.gateway
        if not gateway.mirror.on or (throttled and not gateway.assumptions.a35_mirror_throttled):
            return
        now_us = self.clock.now
        gateway.mirror.copy(self, gateway.tally, now_us, message, answer_bytes=None)
        if throttled:
            answer_bytes = 0
        if answer_bytes is not None:
            gateway.mirror.copy(self, gateway.tally, now_us, message, answer_bytes=answer_bytes)

    def _fail(self, message: Message, asked_us: int, path_us: int) -> None:
        """Schedule the next try of ``message``, or lose it; the answer took ``path_us``."""
        backoff = self.fleet.backoff
        delay_us = backoff.delay_us(message.tries, asked_us, partial(self._word, message))
        if delay_us < 0:
            self.lose(message, "lost_tries", path_us)
            return
        at_us = self.clock.now + path_us + delay_us
        if backoff.deadline_us is not None and at_us > message.created_us + backoff.deadline_us:
            self.lose(message, "lost_deadline", path_us)
            return
        if message.alarm is None:
            message.alarm = Alarm(self.clock, self._retry)
        message.alarm.set(at_us, self._order(message), message)

    def _word(self, message: Message, nth: int) -> int:
        # Word n - 1 of the message's retry draws belongs to retry n; a block holds four.
        index, place_in = divmod(nth - 1, 4)
        if place_in == 0 or not message.words:
            message.words = self.draws.words(
                self.index, message.origin.retry_place, message.number, index
            )
        return message.words[place_in]

    def _retry(self, alarm: Alarm) -> None:
        message = alarm.note
        if message.open:
            self.submit(message)
            self.release()

    def lose(self, message: Message, why: str, path_us: int = 0, *, in_flight: bool = True) -> None:
        """Give ``message`` up, counted under ``why``; ``in_flight``: the line was busy with it."""
        tally = self.gateway.tally
        setattr(tally, why, getattr(tally, why) + 1)
        self._close(message)
        if in_flight:
            self._free(path_us)

    def _close(self, message: Message) -> None:
        message.open = False
        # The alarm knows the message: without this the two would keep each other alive.
        message.alarm = None
        del self.undecided[message]
        now_us = self.clock.now
        self.gateway.count_pending(-1, now_us)
        self.gateway.sojourn_message_us += now_us - message.created_us

    def _occupy(self) -> None:
        self.busy = True
        self.busy_no += 1

    def _free(self, path_us: int) -> None:
        """Let the next held message go, once the answer to this one is there."""
        if self.fleet.independent:
            return
        if path_us:
            at_us = self.clock.now + path_us
            Alarm(self.clock, self._free_later).set(
                at_us, self._timer(orders.RELEASE), self.busy_no
            )
        else:
            self.busy = False

    def _free_later(self, alarm: Alarm) -> None:
        # An answer to a message that was cancelled meanwhile frees nobody.
        if alarm.note == self.busy_no:
            self.busy = False
            self.release()

    def release(self) -> None:
        """Submit held messages while the line is free; flat, because each may end at once."""
        if self.releasing:
            return
        self.releasing = True
        while self.queue and not self.busy:
            self._occupy()
            self.submit(self.queue.popleft())
        self.releasing = False

    def cancel_all(self) -> None:
        """Lose every open message (line, device or VPG has ended)."""
        self.parked.clear()
        self.queue.clear()
        for message in tuple(self.undecided):
            self.lose(message, "lost_cancelled")
        self.busy = False

    def submit_parked(self) -> None:
        """Try every message that waited for a session."""
        parked, self.parked[:] = tuple(self.parked), ()
        for message in parked:
            if not message.open:
                continue
            # A try can cost the session, and then the rest wait for the next one.
            if self.state == ATTACHING:
                self.parked.append(message)
            else:
                self._try(message)

    def receive(self, created: list[Created]) -> None:
        """Take what the line creates until the end of the hour, last first."""
        self.inbox = created
        if self.wake is not None:
            self.wake.succeed()
            self.wake = None

    def _count_bytes(self, size_bytes: int) -> None:
        self.session_bytes += size_bytes
        if self.session and self.session_bytes > self.fleet.cut_after_bytes:
            self.lose_session()
