"""One line in the reference plane: a SimPy process that creates messages, and what becomes of them.

Owns: the device's side of sessions and messages: attaching, noticing, waiting, retrying, giving up. Does not
own: what the VPG decides (``gateway``). Times: ``SimUs``.

What the device believes: IDLE (it has no session and knows), ATTACHING (its messages wait) or ATTACHED. The
VPG's side: a session, a ghost (a session whose device is off or out of radio), or nothing. ATTACHED without a
session is how ``no_session`` comes about: the device has not noticed yet.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from sim.plane import alarm as orders
from sim.plane import gateway as gw
from sim.plane.alarm import Alarm
from sim.plane.message import Message
from sim.traffic.draws import Purpose, place
from sim.traffic.laws import exponential
from vpg.rating.histogram import bucket_of

if TYPE_CHECKING:
    from collections.abc import Generator

    import simpy

    from scenarios.model import LineStatus
    from sim.plane.fleet import FleetState
    from sim.plane.gateway import Gateway
    from sim.plane.message import Origin

IDLE: Final = 0
ATTACHING: Final = 1
ATTACHED: Final = 2

_ATTACH_PLACE = place(Purpose.ATTACH_RETRY)
_LENGTH_PLACE = place(Purpose.SESSION_LENGTH)

Created = tuple[int, "Origin", int, int, int]
"""(created_us, origin, number, bytes_up, bytes_down)."""


class Line:
    """A SIM line and its device."""

    __slots__ = (
        "assigned_before", "attach_began_us", "attach_no", "attach_tries", "busy", "draws", "env",
        "first_order", "fleet", "gateway", "gave_up", "ghost", "inbox", "index", "inspected_row",
        "last_activity_us", "origin_us", "parked", "power_cuts", "queue", "radio_cuts", "rank",
        "releasing", "sending", "session", "session_bytes", "session_seq", "state", "status",
        "undecided", "wake",
    )  # fmt: skip

    def __init__(self, *, fleet: FleetState, index: int, rank: int, status: LineStatus) -> None:
        """Create line ``index`` of ``fleet``; ``rank`` orders all lines of the run."""
        self.fleet = fleet
        self.gateway: Gateway = fleet.gateway
        self.env: simpy.Environment = fleet.env
        self.draws = fleet.draws
        self.index = index
        self.rank = rank
        self.first_order = orders.first_try_order(rank)
        self.origin_us = fleet.start_us
        self.status: LineStatus = status
        self.assigned_before = 0
        self.state = IDLE
        self.session = False
        self.ghost = False
        self.session_seq = 0
        """Changes whenever a session begins, ends or becomes a ghost: outdated timers see it."""
        self.session_bytes = 0
        self.last_activity_us = 0
        self.attach_no = 0
        self.attach_tries = 0
        self.attach_began_us = 0
        self.gave_up = False
        self.power_cuts = 0
        """Power cuts in force; 0: the device is on."""
        self.radio_cuts = 0
        """Outages in force; 0: the radio works."""
        self.busy = False
        self.releasing = False
        self.inspected_row = -1
        self.parked: list[Message] = []
        """Messages that wait for a session."""
        self.queue: deque[Message] = deque()
        """Messages that wait for the line to be free (outstanding: hold)."""
        self.undecided: dict[Message, None] = {}
        """Open messages whose fate takes time, in order of creation."""
        self.inbox: list[Created] = []
        """What the line creates until the end of the loaded hour, last first."""
        self.wake: simpy.Event | None = None
        self.sending = False
        self.refresh_sending()
        self.env.process(self.life())

    # ---- creating messages ---------------------------------------------------------------------

    def life(self) -> Generator[simpy.Event, Any, None]:
        """Create each message of the inbox at its time; sleep until the next one is filled."""
        alarm = Alarm(self.env)
        while True:
            while self.inbox:
                created_us, origin, number, bytes_up, bytes_down = self.inbox.pop()
                yield alarm.set(created_us, self.first_order)
                if self.sending:
                    self.create(created_us, origin, number, bytes_up, bytes_down)
            self.wake = self.env.event()
            yield self.wake

    def create(  # noqa: PLR0917 - the hot path
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
            self.busy = True
            self.submit(message)
            self.release()
        elif self.fleet.holds and self._has_buffer():
            self._wait_in(self.queue, message)
        else:
            self.lose(message, "lost_buffer", in_flight=False)

    def _open(self, message: Message) -> None:
        self.undecided[message] = None
        self.gateway.pending += 1

    def _has_buffer(self) -> bool:
        return len(self.parked) + len(self.queue) < self.fleet.fleet.buffer_messages

    def _wait_in(self, queue: list[Message] | deque[Message], message: Message) -> None:
        queue.append(message)
        deadline_us = self.fleet.backoff.deadline_us
        if deadline_us is not None:
            at_us = max(message.created_us + deadline_us, self.env.now)
            Alarm(self.env, self._expire).set(at_us, self._order(message), (message, queue))

    def _expire(self, event: simpy.Event) -> None:
        message, queue = event.value
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

    # ---- trying --------------------------------------------------------------------------------

    def submit(self, message: Message) -> None:
        """Try ``message`` now, attaching first where the device knows that it must."""
        if self.state == IDLE and not self.gave_up and self.fleet.attaches_on_report:
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
        now_us = self.env.now
        gateway = self.gateway
        if self.state != ATTACHED or not self.session or self.radio_cuts:
            self._decide(message, gw.NO_SESSION)
            return
        self.last_activity_us = now_us
        if gateway.inspecting and self.inspected_row != gateway.row_serial:
            self.inspected_row = gateway.row_serial
            gateway.tally.lines_inspected += 1
        decision, wait_us = gateway.ask(message.origin.service, now_us)
        self._decided_or_waiting(message, decision, wait_us)

    def _decided_or_waiting(self, message: Message, decision: int, wait_us: int) -> None:
        if decision in {gw.WAITING, gw.DECISION_EXPIRES}:
            outcome = gw.ACCEPTED if decision == gw.WAITING else gw.THROTTLED
            at_us = self.env.now + wait_us
            Alarm(self.env, self._queue_ends).set(at_us, self._order(message), (message, outcome))
            return
        self._decide(message, decision)

    def _queue_ends(self, event: simpy.Event) -> None:
        message, outcome = event.value
        if message.open:
            self._decide(message, outcome)
            self.release()

    def _decide(self, message: Message, outcome: int) -> None:
        gateway = self.gateway
        if self.env.now >= gateway.second_end_us:
            gateway.turn(self.env.now)
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
            asked_us = gateway.retry_after_us(service, self.env.now) if self.fleet.backoff.retry_after else 0
            self._fail(message, asked_us, 0)
            return
        delivered, path_us = True, 0
        if not gateway.plain_path:
            delivered, path_us = gateway.pass_on(self, message.origin, message.number, message.tries)
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
        bucket = bucket_of(self.env.now - message.created_us + path_us)
        tally.delays[bucket] = tally.delays.get(bucket, 0) + 1
        self._close(message)
        if self.fleet.cut_after_bytes:
            self._count_bytes(message.bytes_up + message.bytes_down)
        self._free(path_us)

    def _mirror(self, message: Message, answer_bytes: int | None, *, throttled: bool) -> None:
        gateway = self.gateway
        if not gateway.mirror.on or (throttled and not gateway.assumptions.a35_mirror_throttled):
            return
        now_us = self.env.now
        gateway.mirror.copy(self, gateway.tally, now_us, message, answer_bytes=None)
        if throttled:
            answer_bytes = 0
        if answer_bytes is not None:
            gateway.mirror.copy(self, gateway.tally, now_us, message, answer_bytes=answer_bytes)

    # ---- failing, giving up --------------------------------------------------------------------

    def _fail(self, message: Message, asked_us: int, path_us: int) -> None:
        """Schedule the next try of ``message``, or lose it; the answer took ``path_us``."""
        backoff = self.fleet.backoff
        delay_us = backoff.delay_us(message.tries, asked_us, lambda: self._word(message))
        if delay_us < 0:
            self.lose(message, "lost_tries", path_us)
            return
        at_us = self.env.now + path_us + delay_us
        if backoff.deadline_us is not None and at_us > message.created_us + backoff.deadline_us:
            self.lose(message, "lost_deadline", path_us)
            return
        Alarm(self.env, self._retry).set(at_us, self._order(message), message)

    def _word(self, message: Message) -> int:
        # Word n - 1 of the message's retry draws belongs to retry n; a block holds four.
        place_in = (message.tries - 1) % 4
        if place_in == 0 or not message.words:
            message.words = self.draws.words(
                self.index, message.origin.retry_place, message.number, (message.tries - 1) // 4
            )
        return message.words[place_in]

    def _retry(self, event: simpy.Event) -> None:
        message = event.value
        if message.open:
            self.submit(message)
            self.release()

    def lose(
        self, message: Message, why: str, path_us: int = 0, *, in_flight: bool = True
    ) -> None:
        """Give ``message`` up, counted under ``why``; the line was busy with it when ``in_flight``."""
        tally = self.gateway.tally
        setattr(tally, why, getattr(tally, why) + 1)
        self._close(message)
        if in_flight:
            self._free(path_us)

    def _close(self, message: Message) -> None:
        message.open = False
        del self.undecided[message]
        self.gateway.pending -= 1

    def _free(self, path_us: int) -> None:
        """Let the next held message go, once the answer to this one is there."""
        if self.fleet.independent:
            return
        if path_us:
            at_us = self.env.now + path_us
            Alarm(self.env, self._free_later).set(at_us, self._timer(orders.RELEASE))
        else:
            self.busy = False

    def _free_later(self, _event: simpy.Event) -> None:
        self.busy = False
        self.release()

    def release(self) -> None:
        """Submit held messages while the line is free; flat, because each may end at once."""
        if self.releasing:
            return
        self.releasing = True
        while self.queue and not self.busy:
            self.busy = True
            self.submit(self.queue.popleft())
        self.releasing = False

    def cancel_all(self) -> None:
        """Lose every open message (line, device or VPG has ended)."""
        self.parked.clear()
        self.queue.clear()
        for message in tuple(self.undecided):
            self.lose(message, "lost_cancelled")
        self.busy = False

    # ---- attaching -----------------------------------------------------------------------------

    def refresh_sending(self) -> None:
        """Recompute whether the device creates messages."""
        alive = self.status not in {"suspended", "terminated"}
        self.sending = alive and not self.power_cuts and self.gateway.exists

    def _timer(self, kind: int) -> int:
        return (self.rank << orders.LINE_SHIFT) | kind

    @property
    def session_timer_order(self) -> int:
        """The place of the line's session timers in a microsecond."""
        return self._timer(orders.SESSION_END)

    def start_attach(self, delay_us: int = 0) -> None:
        """Begin a new attach procedure, its first try after ``delay_us``."""
        self.attach_no += 1
        self.attach_tries = 0
        self.attach_began_us = self.env.now + delay_us
        self.gave_up = False
        self.state = ATTACHING
        if delay_us:
            at_us = self.env.now + delay_us
            Alarm(self.env, self._attach_due).set(at_us, self._timer(orders.ATTACH), self.attach_no)
        else:
            self._try_attach()

    def _attach_due(self, event: simpy.Event) -> None:
        if event.value == self.attach_no and self.state == ATTACHING:
            self._try_attach()
            self.release()

    def _try_attach(self) -> None:
        if self.radio_cuts or not self.gateway.exists:
            return
        decision = self.gateway.attach(self, self.env.now)
        if decision == gw.CREATED:
            self._attached()
            return
        backoff = self.fleet.attach_backoff
        self.attach_tries += 1
        delay_us = -1
        if decision != gw.REJECTED_FOR_GOOD:
            delay_us = backoff.delay_us(self.attach_tries, 0, self._attach_word)
        at_us = self.env.now + delay_us
        late = backoff.deadline_us is not None and at_us > self.attach_began_us + backoff.deadline_us
        if delay_us < 0 or late:
            self._give_up()
            return
        Alarm(self.env, self._attach_due).set(at_us, self._timer(orders.ATTACH), self.attach_no)

    def _attach_word(self) -> int:
        return self.draws.words(self.index, _ATTACH_PLACE, self.attach_no, self.attach_tries)[0]

    def _give_up(self) -> None:
        self.state = IDLE
        self.gave_up = True
        self._submit_parked()

    def _submit_parked(self) -> None:
        parked, self.parked[:] = tuple(self.parked), ()
        for message in parked:
            if not message.open:
                continue
            # A try can cost the session, and then the rest wait for the next one.
            if self.state == ATTACHING:
                self.parked.append(message)
            else:
                self._try(message)

    def _attached(self) -> None:
        now_us = self.env.now
        self.state = ATTACHED
        self.session = True
        self.session_seq += 1
        self.session_bytes = 0
        self.last_activity_us = now_us
        for at_us, action in self.fleet.session_ends(self, now_us):
            Alarm(self.env, action).set(at_us, self._timer(orders.SESSION_END), (self, self.session_seq))
        self._submit_parked()

    def length_us(self, mean_us: int) -> int:
        """Return this session's exponential length."""
        words = self.draws.words(self.index, _LENGTH_PLACE, self.session_seq)
        return max(1, exponential(words[0], words[1], mean_us))

    def _count_bytes(self, size_bytes: int) -> None:
        self.session_bytes += size_bytes
        if self.session and self.session_bytes > self.fleet.cut_after_bytes:
            self.lose_session()

    # ---- losing sessions -----------------------------------------------------------------------

    def lose_session(self) -> None:
        """The platform deletes the session (or ghost); the device does not know."""
        if self.ghost:
            self.ghost = False
            self.gateway.forget_session(ghost=True)
            return
        if not self.session:
            return
        self.session = False
        self.session_seq += 1
        self.gateway.forget_session(ghost=False)
        self._notice_later()

    def _notice_later(self) -> None:
        notice_us = self.fleet.fleet.session.notice_us
        if notice_us is None or self.state != ATTACHED:
            return
        at_us = self.env.now + notice_us
        Alarm(self.env, self._notice_due).set(
            at_us, self._timer(orders.NOTICE), (self.session_seq, self.attach_no)
        )

    def _notice_due(self, event: simpy.Event) -> None:
        still_fooled = self.state == ATTACHED and (not self.session or self.radio_cuts)
        if still_fooled and event.value == (self.session_seq, self.attach_no):
            self.notice()
            self.release()

    def notice(self) -> None:
        """The device learns that its session is of no use and begins to attach."""
        self.state = IDLE
        if self.fleet.fleet.session.attach == "on_event":
            self.gave_up = True
            return
        self.start_attach()

    def end_session(self) -> None:
        """Session ends with the device's knowledge (timeout, planned length)."""
        if not self.session:
            return
        self.session = False
        self.session_seq += 1
        self.gateway.forget_session(ghost=False)
        if self.state == ATTACHED:
            self.state = IDLE

    def become_ghost(self) -> None:
        """The device is gone without detaching; the VPG keeps the session until its idle timeout."""
        if not self.session:
            return
        self.session = False
        self.ghost = True
        self.session_seq += 1
        self.gateway.note_ghost()
        if self.gateway.idle_timeout_us:
            at_us = max(self.last_activity_us + self.gateway.idle_timeout_us, self.env.now)
            Alarm(self.env, self._ghost_ends).set(
                at_us, self._timer(orders.SESSION_END), self.session_seq
            )

    def _ghost_ends(self, event: simpy.Event) -> None:
        if self.ghost and event.value == self.session_seq:
            self.ghost = False
            self.gateway.forget_session(ghost=True)

    def disown_ghost(self) -> None:
        """Leave the ghost to its timeout although the line attaches anew (A-17 not_replaced)."""
        self.ghost = False
        self.gateway.orphans += 1
        if self.gateway.idle_timeout_us:
            at_us = max(self.last_activity_us + self.gateway.idle_timeout_us, self.env.now)
            Alarm(self.env, self._orphan_ends).set(
                at_us, self._timer(orders.SESSION_END), self.gateway.orphan_epoch
            )

    def _orphan_ends(self, event: simpy.Event) -> None:
        gateway = self.gateway
        if gateway.exists and event.value == gateway.orphan_epoch:
            gateway.orphans -= 1
            gateway.forget_session(ghost=True)

    # ---- what events do ------------------------------------------------------------------------

    def receive(self, created: list[Created]) -> None:
        """Take what the line creates until the end of the hour, last first."""
        self.inbox = created
        if self.wake is not None:
            self.wake.succeed()
            self.wake = None

    def radio_lost(self, *, ghost: bool) -> None:
        """The carrier is out: the session is cut or stays as a ghost; the device has to notice."""
        self.radio_cuts += 1
        if not ghost:
            self.lose_session()
        elif self.session:
            self.become_ghost()
            self._notice_later()

    def radio_back(self, ramp_us: int) -> None:
        """The carrier is back: whoever had or wants a session attaches anew, ``ramp_us`` later."""
        self.radio_cuts -= 1
        wants = self.state != IDLE or self.fleet.fleet.session.attach == "at_start"
        if self.sending and wants and not self.radio_cuts:
            self.start_attach(ramp_us)
            self.release()

    def power_lost(self) -> None:
        """The device is off at once: nothing pending survives, its session becomes a ghost."""
        self.power_cuts += 1
        self.become_ghost()
        self.silence()

    def power_back(self, ramp_us: int) -> None:
        """The device starts again ``ramp_us`` from now and, as devices do, attaches."""
        if ramp_us:
            at_us = self.env.now + ramp_us
            Alarm(self.env, self._power_on).set(at_us, self._timer(orders.ATTACH))
        else:
            self._power_on(None)

    def _power_on(self, _event: simpy.Event | None) -> None:
        self.power_cuts -= 1
        self.refresh_sending()
        if self.sending and self.fleet.attaches_on_report:
            self.start_attach()
            self.release()

    def change_status(self, status: LineStatus) -> None:
        """Change the line's status; one that may not be used loses its session and its messages."""
        before, self.status = self.status, status
        if status in {"suspended", "terminated", "inactive"}:
            had_session = self.session
            self.lose_session()
            if status != "inactive":
                self.silence()
            if had_session:
                # The modem tries to come back, and is refused for now or for good.
                self.start_attach()
                self.release()
            return
        self.refresh_sending()
        if before != status and self.sending and self.fleet.fleet.session.attach == "at_start":
            if not self.session:
                self.start_attach()
                self.release()

    def silence(self) -> None:
        """The device is off or the line may not be used: nothing pending, nothing believed."""
        self.cancel_all()
        self.state = IDLE
        self.attach_no += 1
        self.refresh_sending()
