"""Between the devices and the service: who tells it what, and how the answer comes back.

Owns: a device's requests over HTTP, its session acts in order, the platform's and administrators'
acts, and that every answer reaches the device model as an event of its clock. Does not own: the
device's behaviour (``devices``), connections (``wire``), MQTT (``mqtt``). Times: ``SimUs`` of
service time.

An answer is put on the device model's clock at the instant it came, so the model takes it in the
order of time as if the VPG had been simulated.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from loadtests.fleet.counts import Counts, Unknown
from loadtests.fleet.wire import Answer, Lane
from sim.plane.alarm import LINE_SHIFT, Alarm
from vpg.rating.events import MESSAGE, REQUEST, Data, event
from vpg.rating.hourly import SERVICES
from vpg.service.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.fleet.api import Api
    from loadtests.fleet.clock import ServiceClock
    from loadtests.fleet.devices import LiveLine
    from loadtests.fleet.mqtt import MqttFleet
    from loadtests.fleet.wire import Failure, Wire
    from sim.plane.alarm import Clock
    from sim.plane.message import Message
    from vpg.rating.events import UsageEvent

LANE_CONNECTIONS: Final = 2
"""Connections of one device to one entry point; more requests at once wait for an answer."""
_HEARD: Final = 6
"""Place of an answer among a line's timers in one microsecond."""
_ANSWER_HEADER: Final = "x-vpg-answer-bytes"
_SOURCE: Final = "urn:vpg-fleet"
_MICRO: Final = 1_000_000

Outcome = Literal["accepted", "throttled", "no_session", "failed_upstream", "not_taken"]
"""``not_taken``: no answer, or one that counts nothing; the device takes it for a failed try."""
_MEANINGS: Final[dict[int, Outcome]] = {
    200: "accepted",
    204: "accepted",
    403: "no_session",
    429: "throttled",
    503: "failed_upstream",
}
Decision = Literal["created", "kept", "refused", "rejected", "rejected_for_good"]
_REFUSALS: Final[dict[str, Decision]] = {
    "line_cap": "refused",
    "setup_rate": "rejected",
    "inactive": "rejected",
    "suspended": "rejected_for_good",
    "terminated": "rejected_for_good",
    "no_vpg": "rejected_for_good",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a device is told of one request."""

    outcome: Outcome
    asked_us: int = 0
    """What the answer asked it to wait, in service time."""
    silent_us: int = 0
    """How long it waited for an answer that never came, where silence is the answer (MQTT)."""


_Act: TypeAlias = "tuple[str, str, bytes, Callable[[Answer | Failure], None]]"
"""Method, path, body, and who hears what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineName:
    """A line as the service knows it."""

    sim_id: str
    address: str
    operator_id: str


class Link:
    """The one way to the service."""

    def __init__(
        self,
        *,
        wire: Wire,
        api: Api,
        administration: Api,
        clock: ServiceClock,
        names: dict[tuple[str, int], LineName],
        ports: dict[str, tuple[str, int]],
        by_address: bool,
        token: str,
        resets: bool,
        run: int,
    ) -> None:
        """Know the lines by ``names`` and the entry points by ``ports``; ``run`` keys events."""
        self._wire = wire
        self.api = api
        self._administration = administration
        """One connection: changes are made in the order of their calls."""
        self.clock = clock
        self._names = names
        self._ports = ports
        self._by_address = by_address
        self._token = token
        self._resets = resets
        """A-03 ``reset``: a connection closed without an answer means throttled."""
        self.counts = Counts()
        self.flying = 0
        """Requests and acts under way."""
        self.closing = False
        """No more requests and attaches: the run is over, answers are awaited."""
        self.model: Clock | None = None
        self.wake: Callable[[], None] = _nothing
        self.mqtt: MqttFleet | None = None
        self._keys = Keys(run)
        self._run = run
        self._events: list[UsageEvent] = []
        self._acts: dict[str, deque[_Act]] = {}
        self._operators: dict[str, str] = {}
        self.problems: list[str] = []

    # ---- lines ---------------------------------------------------------------------------------

    def name_of(self, fleet: str, index: int) -> LineName:
        """Return how the service knows line ``index`` of ``fleet``."""
        return self._names[fleet, index]

    def knows_vpg(self, vpg_id: str, operator_id: str) -> None:
        """Learn whose VPG it is."""
        self._operators[vpg_id] = operator_id

    def _lane(self, line: LiveLine, service: str) -> Lane:
        lane = line.lanes.get(service)
        if lane is None:
            host, port = self._ports[service]
            local = line.name.address if self._by_address else None
            lane = line.lanes[service] = Lane(host, port, local, LANE_CONNECTIONS)
        return lane

    # ---- the model's clock ---------------------------------------------------------------------

    def hear(self, line: LiveLine, act: Callable[[], None]) -> None:
        """Let ``line`` hear an answer now, in its place in time."""
        model = self.model
        if model is None:
            return
        order = (line.rank << LINE_SHIFT) | _HEARD
        Alarm(model, _do).set(max(self.clock.now_us(), model.now), order, act)
        self.wake()

    # ---- requests ------------------------------------------------------------------------------

    def request(self, line: LiveLine, message: Message) -> None:
        """Send one try of ``message``; ``line.told`` hears what became of it."""
        if self.closing or self.model is None:
            return
        service = SERVICES[message.origin.service]
        intended_us = self.model.now
        attempt = message.tries
        self.counts.intended += 1
        if service == "ip":
            self._pass_ip(line, message, attempt)
            return
        self.flying += 1

        def sent() -> None:
            self.counts.left((self.clock.now_us() - intended_us) // self.clock.scale)

        if service == "beam" and self.mqtt is not None and self.mqtt.carries(line):

            def heard(told: Told) -> None:
                self.flying -= 1
                self._count(line, message, told)
                self.hear(line, lambda: line.told(message, attempt, told))

            self.mqtt.publish(line, message.bytes_up, sent, heard)
            return
        extra = "" if self._by_address else f"x-vpg-line: {line.name.sim_id}\r\n"
        if self._token and not self._by_address:
            extra += f"authorization: Bearer {self._token}\r\n"
        if service == "beam" and message.bytes_down:
            extra += f"{_ANSWER_HEADER}: {message.bytes_down}\r\n"
        head = f"POST / HTTP/1.1\r\nhost: vpg\r\ncontent-length: {message.bytes_up}\r\n{extra}\r\n"

        def done(what: Answer | Failure) -> None:
            self.flying -= 1
            told = self._meaning(line, message, attempt, what)
            self._count(line, message, told)
            self.hear(line, lambda: line.told(message, attempt, told))

        data = head.encode() + bytes(message.bytes_up)
        self._wire.send(self._lane(line, service), data, sent, done)

    def _meaning(
        self, line: LiveLine, message: Message, attempt: int, what: Answer | Failure
    ) -> Told:
        if isinstance(what, Answer):
            return self._answer(message, what)
        if what == "cut" and self._resets:
            return Told(outcome="throttled")
        if what == "unsent":
            self.counts.unsent += 1
        else:
            service = SERVICES[message.origin.service]
            self.counts.lose(Unknown(line.name.sim_id, service, message.number, attempt, what))
        return Told(outcome="not_taken")

    def _answer(self, message: Message, what: Answer) -> Told:
        counts = self.counts
        header = what.headers.get(b"retry-after", b"")
        asked_us = self.clock.least_wait_us(int(header)) if header.isdigit() else 0
        outcome = _MEANINGS.get(what.status, "not_taken")
        if outcome == "failed_upstream" and b'"upstream_failed"' not in what.body:
            counts.turned_away += 1
            return Told(outcome="not_taken", asked_us=asked_us)
        wrong_size = outcome == "accepted" and len(what.body) != message.bytes_down
        if outcome == "not_taken" or wrong_size:
            counts.unexpected[what.status] = counts.unexpected.get(what.status, 0) + 1
        return Told(outcome=outcome, asked_us=asked_us if outcome == "throttled" else 0)

    def _count(self, line: LiveLine, message: Message, told: Told) -> None:
        del line
        counts = self.counts
        if told.outcome == "accepted":
            counts.accepted += 1
            counts.bytes_up += message.bytes_up
            counts.bytes_down += message.bytes_down
        elif told.silent_us:
            counts.unacknowledged += 1
        elif told.outcome == "throttled":
            counts.throttled += 1
        elif told.outcome == "no_session":
            counts.no_session += 1
        elif told.outcome == "failed_upstream":
            counts.failed_upstream += 1

    def _pass_ip(self, line: LiveLine, message: Message, attempt: int) -> None:
        """Tell of plain IP traffic, which meets no entry point, as its meter would."""
        model = self.model
        if model is None:
            return
        vpg_id = line.gateway.vpg.id
        data = Data(
            operatorId=line.name.operator_id,
            vpgId=vpg_id,
            service="ip",
            outcome="accepted",
            bytesUp=message.bytes_up,
            bytesDown=message.bytes_down,
        )
        self.counts.left(0)
        self._events.append(
            event(
                REQUEST,
                source=_SOURCE,
                event_id=self._keys.next(model.now),
                at_us=model.now,
                subject=line.name.sim_id,
                data=data,
            )
        )
        told = Told(outcome="accepted")
        self._count(line, message, told)
        self.hear(line, lambda: line.told(message, attempt, told))

    # ---- sessions, by the API, a line's acts one after the other -------------------------------

    def attach(self, line: LiveLine, attach_no: int) -> None:
        """Let the line attach; ``line.attach_told`` hears the decision."""
        if self.closing:
            return
        counts = self.counts
        counts.attaches += 1

        def done(what: Answer | Failure) -> None:
            decision: Decision = "rejected"
            if isinstance(what, Answer) and what.status in {200, 201}:
                decision = "created" if what.status == 201 else "kept"  # noqa: PLR2004 - Created
                counts.attaches_created += 1
                if self.mqtt is not None and self.mqtt.carries(line):
                    self.mqtt.connect(line)
            elif isinstance(what, Answer) and what.status == 403:  # noqa: PLR2004 - Forbidden
                decision = next(
                    (word for code, word in _REFUSALS.items() if f'"{code}"'.encode() in what.body),
                    "rejected",
                )
                counts.attaches_refused += decision == "refused"
                counts.attaches_rejected += decision != "refused"
            else:
                counts.acts_failed += 1
            self.hear(line, lambda: line.attach_told(attach_no, decision))

        self._act(line, "POST", "", done)

    def detach(self, line: LiveLine, how: str = "") -> None:
        """End the line's session: ``""`` detach, ``"lost"`` a ghost, ``"cut"`` by the platform."""
        self._act(line, "DELETE", f"?{how}=true" if how else "", self._told)

    def _told(self, what: Answer | Failure) -> None:
        if not isinstance(what, Answer) or what.status >= 300:  # noqa: PLR2004 - no success
            self.counts.acts_failed += 1
            text = what if not isinstance(what, Answer) else f"{what.status} {what.body[:80]!r}"
            self.problems.append(str(text))

    def change_status(self, line: LiveLine, status: str) -> None:
        """Let an administrator change the line, before it does what it does next."""
        self._act(line, "PATCH", "", self._told, f'{{"status": "{status}"}}'.encode())

    def _act(
        self,
        line: LiveLine,
        method: str,
        query: str,
        done: Callable[[Answer | Failure], None],
        body: bytes = b"",
    ) -> None:
        what = "" if body else f"/session{query}"
        act = (method, f"/v1/lines/{line.name.sim_id}{what}", body, done)
        acts = self._acts.get(line.name.sim_id)
        self.flying += 1
        if acts is not None:
            acts.append(act)
            return
        self._acts[line.name.sim_id] = deque([act])
        self._next_act(line.name.sim_id)

    def _next_act(self, sim_id: str) -> None:
        acts = self._acts[sim_id]
        if not acts:
            del self._acts[sim_id]
            return
        method, path, body, done = acts[0]

        def told(what: Answer | Failure) -> None:
            self.flying -= 1
            done(what)
            acts.popleft()
            self._next_act(sim_id)

        self.api.ask(method, path, told, body)

    # ---- administrators ------------------------------------------------------------------------

    def administer(self, method: str, path: str, body: bytes = b"") -> None:
        """Send an administrator's change, in the order of their calls."""
        self.flying += 1

        def told(what: Answer | Failure) -> None:
            self.flying -= 1
            self._told(what)

        self._administration.ask(method, path, told, body)

    # ---- usage events of our own ---------------------------------------------------------------

    def tell_messages(self, vpg_id: str, figures: dict[str, int], at_us: int) -> None:
        """Note what became of messages in a row that ends: only devices know (``message.v1``)."""
        operator = self._operators[vpg_id]
        columns: dict[Any, str] = {
            "offered": "messages_offered",
            "delivered": "messages_delivered",
            "lost_tries": "lost_tries",
            "lost_deadline": "lost_deadline",
            "lost_buffer": "lost_buffer",
            "lost_cancelled": "lost_cancelled",
        }
        for outcome, column in columns.items():
            if figures[column]:
                data = Data(
                    operatorId=operator,
                    vpgId=vpg_id,
                    outcome=outcome,
                    requests=figures[column],
                )
                key = self._keys.next(at_us)
                self._events.append(
                    event(MESSAGE, source=_SOURCE, event_id=key, at_us=at_us, data=data)
                )

    async def tell(self) -> None:
        """Have what was noted counted."""
        events, self._events = self._events, []
        if events:
            await self.api.count(events)


def _do(alarm: Alarm) -> None:
    alarm.note()


def _nothing() -> None:
    """Wake nobody."""
