"""Between the twin's devices and the service: who tells it what, in whose time. No test here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from scenarios import model
from scenarios.model import MILLION
from sim.plane.alarm import Clock
from sim.traffic.laws import below
from vpg.cli import serving_values
from vpg.rating.counting import at_us_of
from vpg.rating.events import CREATED, DELETED, MESSAGE, MESSAGE_OUTCOMES, Data
from vpg.rating.events import event as usage_event
from vpg.service.cloudevents import BATCHED, encoded_batch, received
from vpg.service.gateway.gateway import Gateway
from vpg.service.keys import Keys
from vpg.service.ports import COUNTED

if TYPE_CHECKING:
    from scenarios.model import Scenario
    from sim.plane.message import Message
    from vpg.catalogue.model import Catalogue
    from vpg.rating.events import ServiceName, UsageEvent
    from vpg.rating.hourly import HourlyRow
    from vpg.service.gateway.answers import AttachAnswer, Verdict
    from vpg.service.store.base import Store
    from vpg.service.values import LineEntry

_BATCH = 100


class DeviceChance:
    """The simulator's draws, by the message whose try is being decided."""

    def __init__(self) -> None:
        self.line: Any = None
        self.message: Any = None

    def hits(self, share_ppm: int, what: str, sim_id: str, serial: int) -> bool:
        line, message = self.line, self.message
        assert sim_id == line.sim_id
        origin = message.origin
        if what == "upstream":
            words = line.draws.words(
                line.index, origin.upstream_place, message.number, message.tries
            )
            return below(words[0], MILLION) < share_ppm
        peer, which = int(what.removeprefix("mirror/")), serial & 0xF_FFFF
        words = line.draws.words(
            line.index,
            origin.mirror_place | (peer << 40),
            message.number,
            (message.tries << 20) | (which // 4),
        )
        return below(words[which % 4], MILLION) < share_ppm


class Transport:
    """Carries what devices and administrators do to the gateway's core, and simulated time."""

    def __init__(
        self, scenario: Scenario, catalogue: Catalogue, store: Store, *, registered: bool = True
    ) -> None:
        """Begin at the scenario's start; ``registered``: the store knows the VPGs to come."""
        self._orders = {one.id: one for one in serving_values.orders(scenario, {})}
        self._store = store
        if registered:
            store.put_vpgs(list(self._orders.values()))
        self.chance = DeviceChance()
        self.clock = Clock(scenario.start_us)
        """Simulated time: the simulator's own clock once it runs."""
        self.devices_turn = False
        """Whether it is the devices' part of the microsecond, in the order of lines."""
        self.core = Gateway(
            orders=(),
            lines=(),
            rules=serving_values.rules(scenario, implicit_attach=False, any_line=False),
            catalogue=catalogue,
            now_us=scenario.start_us,
            life=1,
            chance=self.chance,
        )
        self._keys = Keys(1)
        self._waiting: list[UsageEvent] = []
        self.counted = 0
        self.kinds: set[str] = set()

    # ---- the clock -----------------------------------------------------------------------------

    @property
    def now_us(self) -> int:
        return self.clock.now

    def _come(self, sim_id: str) -> Any:
        """Let time go on to where the line's turn is; return the line."""
        line = self.core.line_named(sim_id)
        assert line is not None
        if self.devices_turn:
            self.core.tick(self.now_us, line.place)
        return line

    # ---- administrators ------------------------------------------------------------------------

    def create_vpg(self, vpg_id: str) -> None:
        self.core.create_vpg(self._orders[vpg_id], self.now_us)

    def end_vpg(self, vpg_id: str) -> None:
        self.core.end_vpg(vpg_id, self.now_us)

    def resize(self, vpg_id: str, vpg_type: str, size: str) -> None:
        self.core.resize(vpg_id, vpg_type, size, self.now_us)

    def switch(self, vpg_id: str, feature: str, value: int) -> None:
        self.core.switch(vpg_id, feature, value, self.now_us)

    def connections(self, vpg_id: str, kind: str, change: int) -> None:
        self.core.connections(vpg_id, kind, change, self.now_us)

    def fault(self, event: model.Event, change: int) -> None:
        """Begin (+1) or end (-1) a fault behind the VPG."""
        if isinstance(event, model.UpstreamFault):
            slower_us = None if event.mode == "down" else event.delay_us
            self.core.vpg(event.vpg_id).upstream.fault(event.services, change, slower_us)
        elif isinstance(event, model.RedirectionFault):
            self.core.vpg(event.vpg_id).upstream.redirection_fault(change)
        elif isinstance(event, model.MirrorPeerFault):
            self.core.vpg(event.vpg_id).mirror.fault(event.ip, change)

    def register(self, entry: LineEntry) -> None:
        self._store.put_lines([entry])
        self.core.add_lines([entry])

    def set_status(self, sim_id: str, status: Any) -> None:
        self.core.set_status(self._come(sim_id), status, self.now_us)

    def cut(self, sim_id: str) -> None:
        self.core.cut(self._come(sim_id), self.now_us)

    # ---- devices -------------------------------------------------------------------------------

    def attach(self, sim_id: str) -> AttachAnswer:
        return self.core.attach(self._come(sim_id), self.now_us)

    def detach(self, sim_id: str) -> None:
        self.core.detach(self._come(sim_id), self.now_us)

    def lost(self, sim_id: str) -> None:
        self.core.lost(self._come(sim_id), self.now_us)

    def request(self, sim_id: str, service: str) -> Verdict:
        line = self._come(sim_id)
        return self.core.request(line, service, self.now_us, attach_first=False)

    def queued(self, sim_id: str, verdict: Verdict) -> Verdict:
        self._come(sim_id)
        return self.core.queued(verdict, self.now_us)

    def finish(self, sim_id: str, service: ServiceName, verdict: Verdict, message: Message) -> None:
        """Tell the outcome; the simulator counts it when it is admitted."""
        told = self.core.finish(
            self._come(sim_id),
            service,
            verdict.admitted_us,
            self.now_us,
            delivered=not verdict.fails,
            bytes_up=message.bytes_up,
            bytes_down=message.bytes_down,
            delay_us=self.now_us - message.created_us + verdict.path_us,
            flagged=verdict.flagged,
        )
        self._waiting.append(told)

    def mirrored(
        self, sim_id: str, message: Message, answer_bytes: int | None, *, throttled: bool
    ) -> None:
        self.core.mirrored(
            self._come(sim_id),
            self.now_us,
            request_bytes=message.bytes_up,
            answer_bytes=answer_bytes,
            throttled=throttled,
        )

    def messages(self, vpg_id: str, figures: dict[str, int], at_us: int) -> None:
        """Tell what became of messages in a row that ends."""
        names = {"offered": "messages_offered", "delivered": "messages_delivered"}
        for outcome in MESSAGE_OUTCOMES:
            count = figures[names.get(outcome, outcome)]
            if count:
                data = Data(
                    operatorId=serving_values.OPERATOR,
                    vpgId=vpg_id,
                    outcome=cast("Any", outcome),
                    requests=count,
                )
                self._waiting.append(
                    usage_event(
                        MESSAGE,
                        source="urn:devices",
                        event_id=self._keys.next(at_us),
                        at_us=at_us,
                        data=data,
                    )
                )

    # ---- what is counted -----------------------------------------------------------------------

    def evicted(self, sim_id: str) -> tuple[str, bool] | None:
        """Return whose session or ghost (true) has just gone right before ``sim_id`` got one."""
        told = self.core.outbox[-2:]
        if [one.type for one in told] != [DELETED, CREATED] or told[1].subject != sim_id:
            return None
        gone = told[0]
        if gone.subject == sim_id or at_us_of(gone.time) != at_us_of(told[1].time):
            return None
        return gone.subject, gone.data.ghost

    def count(self) -> None:
        """Send everything through the wire format into the store."""
        events = [*self.core.outbox, *self._waiting]
        self.core.outbox.clear()
        self._waiting.clear()
        for begin in range(0, len(events), _BATCH):
            body = encoded_batch(events[begin : begin + _BATCH])
            found = received(BATCHED, (), body, events_max=_BATCH)
            assert not found.problems
            answers = self._store.commit(found.events, self.now_us)
            assert set(answers) == {COUNTED}
            self.counted += len(answers)
            self.kinds |= {one.type for one in found.events}

    def rows(self, until_us: int) -> tuple[HourlyRow, ...]:
        """Return the hourly table up to ``until_us``."""
        return self._store.hourly(None, 0, until_us, until_us).rows

    def close(self) -> None:
        """Let go of everything."""

    def end(self, now_us: int) -> None:
        """End the run: what comes before ``now_us`` has happened."""
        self.core.flush(now_us)
        self.count()
