"""A scenario whose devices are the simulator's and whose VPGs are the live service's.

The devices (``sim.plane``: what they believe, when they send, attach, try again) ask a transport
instead of the simulator's own gateway, in simulated time. Told are only what a device or the
platform does: registered lines, attaches, detaches, requests, lost devices, forced cuts, changes.
What the service has to find by itself (idle timeouts, ends of ghosts, lengths and bytes of A-28,
evictions, sessions cut by a change, new limits of the catalogue) is never told. Columns of messages
are told by ``message.v1`` events from the devices' books: a gateway sees attempts only.

No test lives here.
"""

from __future__ import annotations

import dataclasses
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from scenarios import model
from scenarios.model import MILLION
from sim.control import Control
from sim.plane import gateway as gw
from sim.plane.alarm import Clock
from sim.plane.gateway import Gateway as SimulatedGateway
from sim.plane.line import Line
from sim.plane.reference import ReferencePlane
from sim.plane.session import ATTACHED
from sim.run import simulate
from sim.traffic.laws import below
from vpg.cli import serving_values
from vpg.rating.events import DELETED, MESSAGE, MESSAGE_OUTCOMES, Data
from vpg.rating.events import event as usage_event
from vpg.rating.hourly import NAMES, SERVICES, HourlyRow, key_of
from vpg.service.cloudevents import BATCHED, encoded_batch, received
from vpg.service.gateway.gateway import Gateway
from vpg.service.keys import Keys
from vpg.service.ports import COUNTED
from vpg.service.store.sqlite import SqliteStore
from vpg.service.values import LineEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scenarios.model import Scenario
    from sim.plane.message import Message, Origin
    from sim.plane.session import SessionSide
    from vpg.catalogue.model import Catalogue, Limits
    from vpg.rating.events import ServiceName, UsageEvent
    from vpg.results import RunResult
    from vpg.service.gateway.answers import AttachAnswer, Verdict
    from vpg.service.store.base import Store

COMPARED = tuple(name for name in NAMES if not name.startswith("delay_"))
_BATCH = 100
_DECISIONS = {
    "created": gw.CREATED,
    "refused": gw.REFUSED,
    "rejected": gw.REJECTED,
    "rejected_for_good": gw.REJECTED_FOR_GOOD,
}


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

    def __init__(self, scenario: Scenario, catalogue: Catalogue, store: Store) -> None:
        """Begin at the scenario's start."""
        self._orders = {one.id: one for one in serving_values.orders(scenario, {})}
        self._store = store
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
        self._seen = 0
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

    def deleted_now(self) -> list[str]:
        """Return the lines whose sessions the last call has ended, as far as not asked before."""
        fresh = self.core.outbox[self._seen :]
        self._seen = len(self.core.outbox)
        return [one.subject for one in fresh if one.type == DELETED]

    def count(self) -> None:
        """Send everything through the wire format into the store."""
        events = [*self.core.outbox, *self._waiting]
        self.core.outbox.clear()
        self._waiting.clear()
        self._seen = 0
        for begin in range(0, len(events), _BATCH):
            body = encoded_batch(events[begin : begin + _BATCH])
            found = received(BATCHED, (), body, events_max=_BATCH)
            assert not found.problems
            answers = self._store.commit(found.events, self.now_us)
            assert set(answers) == {COUNTED}
            self.counted += len(answers)
            self.kinds |= {one.type for one in found.events}

    def end(self, now_us: int) -> None:
        """End the run: what comes before ``now_us`` has happened."""
        self.core.flush(now_us)
        self.count()


class TwinGateway(SimulatedGateway):
    """What the devices take for their VPG: asks the service, keeps only the devices' own books."""

    link: Transport

    def __init__(self, *, vpg: Any, limits: Limits, assumptions: Any, now_us: int) -> None:
        super().__init__(vpg=vpg, limits=limits, assumptions=assumptions, now_us=now_us)
        self.second_end_us = 1 << 62
        self.verdicts: dict[Message, Verdict] = {}
        self.message: Message | None = None
        self.verdict: Verdict | None = None
        self.knows = False
        self.ended_us = 1 << 62
        self.by_name: dict[str, TwinLine] = {}
        self.link.create_vpg(vpg.id)

    @contextmanager
    def found_by_service(self) -> Iterator[None]:
        """Let the devices' sessions end without telling: the service has to know."""
        before, self.knows = self.knows, True
        yield
        self.knows = before

    def attach(self, line: SessionSide, now_us: int) -> int:  # noqa: ARG002 - as simulated
        twin = cast("TwinLine", line)
        answer = self.link.attach(twin.sim_id)
        assert answer.decision != "kept"
        self.tally.attach_attempts += 1
        if answer.decision in {"created", "refused"}:
            line.ghost = False
        for name in self.link.deleted_now():
            other = self.by_name.get(name)
            if other is not None and other is not line and (other.session or other.ghost):
                other.evicted = True
                with self.found_by_service():
                    other.lose_session()
        return _DECISIONS[answer.decision]

    def refresh_path(self) -> None:
        super().refresh_path()
        self.plain_path = False
        self.watching = True

    def pass_on(
        self,
        line: SessionSide,
        origin: Origin,
        number: int,  # noqa: ARG002 - as simulated
        attempt: int,  # noqa: ARG002
    ) -> tuple[bool, int]:
        verdict, message = self.verdict, self.message
        assert verdict is not None
        assert message is not None
        twin = cast("TwinLine", line)
        name = cast("ServiceName", SERVICES[origin.service])
        self.link.finish(twin.sim_id, name, verdict, message)
        return not verdict.fails, verdict.path_us

    def retry_after_us(self, service: int, now_us: int) -> int:  # noqa: ARG002 - as simulated
        assert self.verdict is not None
        return self.verdict.retry_after_us

    def cut_all(self, now_us: int) -> None:
        with self.found_by_service():
            super().cut_all(now_us)

    def resize(self, limits: Limits, now_us: int) -> None:
        """Nothing: administrators tell the service, and the catalogue it reads itself."""

    def forget_session(self, now_us: int, *, ghost: bool) -> None:
        """Nothing: sessions are the service's."""

    def note_ghost(self) -> None:
        """Nothing, likewise."""

    def turn(self, now_us: int) -> None:
        """Nothing: seconds are the service's."""

    def ask(self, service: int, now_us: int) -> tuple[int, int]:  # noqa: ARG002 - as simulated
        raise AssertionError

    def take_row(self, now_us: int) -> tuple[dict[str, int], dict[int, int]]:
        row, delays = super().take_row(now_us)
        self.link.messages(self.vpg.id, row, min(now_us, self.ended_us) - 1)
        self.link.count()
        return row, delays


class TwinLine(Line):
    """A device whose line is the service's."""

    __slots__ = ("sim_id",)
    gateway: TwinGateway

    def __init__(self, *, fleet: Any, index: int, rank: int, status: Any) -> None:
        super().__init__(fleet=fleet, index=index, rank=rank, status=status)
        what = fleet.fleet
        self.sim_id = f"{what.name}-{index}"
        self.gateway.by_name[self.sim_id] = self
        entry = LineEntry(
            sim_id=self.sim_id,
            imsi=f"i-{self.sim_id}",
            operator_id=serving_values.OPERATOR,
            vpg_id=what.vpg_id,
            group_id=what.name,
            status=status,
            keeps_alive=what.session.duration != "idle",
        )
        self.gateway.link.register(entry)

    # ---- what is told --------------------------------------------------------------------------

    def _try(self, message: Message) -> None:
        message.tries += 1
        verdict = self._asked(
            message,
            lambda link: link.request(self.sim_id, SERVICES[message.origin.service]),
        )
        usable = self.state == ATTACHED and self.session and not self.radio_cuts
        assert (verdict.outcome != "no_session") == usable, (verdict, self.sim_id, self.clock.now)
        if not usable:
            self._decide(message, gw.NO_SESSION)
            return
        self.last_activity_us = self.clock.now
        decision = gw.THROTTLED if verdict.outcome == "throttled" else gw.ACCEPTED
        if verdict.outcome == "waiting":
            self.gateway.verdicts[message] = verdict
            decision = gw.DECISION_EXPIRES if verdict.expires else gw.WAITING
        self._decided_or_waiting(message, decision, verdict.wait_us)

    def _asked(self, message: Message, ask: Callable[[Transport], Verdict]) -> Verdict:
        gateway = self.gateway
        gateway.link.chance.line, gateway.link.chance.message = self, message
        gateway.verdict, gateway.message = ask(gateway.link), message
        return gateway.verdict

    def _queue_ends(self, alarm: Any) -> None:
        message, outcome = alarm.note
        waiting = self.gateway.verdicts.pop(message)
        if message.open:
            verdict = self._asked(message, lambda link: link.queued(self.sim_id, waiting))
            assert (verdict.outcome == "admitted") == (outcome == gw.ACCEPTED)
            self._decide(message, outcome)
            self.release()

    def _mirror(self, message: Message, answer_bytes: int | None, *, throttled: bool) -> None:
        link = self.gateway.link
        link.chance.line, link.chance.message = self, message
        link.mirrored(self.sim_id, message, answer_bytes, throttled=throttled)

    def lose_session(self) -> None:
        if not self.gateway.knows:
            self.gateway.link.cut(self.sim_id)
        super().lose_session()

    def end_session(self) -> None:
        if self.session and not self.gateway.knows:
            self.gateway.link.detach(self.sim_id)
        super().end_session()

    def become_ghost(self) -> None:
        if self.session:
            self.gateway.link.lost(self.sim_id)
        super().become_ghost()

    def change_status(self, status: Any) -> None:
        self.gateway.link.set_status(self.sim_id, status)
        with self.gateway.found_by_service():
            super().change_status(status)

    # ---- what the service has to find ----------------------------------------------------------

    def _idle_check(self, alarm: Any) -> None:
        with self.gateway.found_by_service():
            super()._idle_check(alarm)

    def _too_long(self, alarm: Any) -> None:
        with self.gateway.found_by_service():
            super()._too_long(alarm)

    def _count_bytes(self, size_bytes: int) -> None:
        with self.gateway.found_by_service():
            super()._count_bytes(size_bytes)


class TwinPlane(ReferencePlane):
    """The devices' half of the reference plane."""

    link: Transport

    def watched_by(self, link: Transport) -> None:
        """Let ``link`` tell the time by this plane's clock."""
        self.link = link
        link.clock = self._clock

    def advance(self, until_us: int) -> None:
        self.link.devices_turn = True
        super().advance(until_us)
        self.link.devices_turn = False

    def delete_vpg(self, vpg_id: str) -> None:
        cast("TwinGateway", self._gateways[vpg_id]).ended_us = self._now_us
        self.link.end_vpg(vpg_id)
        super().delete_vpg(vpg_id)

    def begin(self, event: model.Event) -> None:
        self.link.fault(event, 1)
        super().begin(event)

    def end(self, event: model.Event) -> None:
        self.link.fault(event, -1)
        super().end(event)


class TwinControl(Control):
    """The scenario's clock, whose administrators call the service."""

    link: Transport

    def _bill_side(self, event: model.Event) -> None:
        if isinstance(event, model.ConnectionChange):
            self.link.connections(event.vpg_id, event.kind, event.change)
        elif isinstance(event, model.FeatureSwitch):
            self.link.switch(event.vpg_id, event.feature, event.value)
        elif isinstance(event, model.Recreate):
            self.link.resize(event.vpg_id, event.type, event.size)
        super()._bill_side(event)


def run_twin(
    scenario: Scenario,
    catalogue: Catalogue,
    link: Transport,
    patch: pytest.MonkeyPatch,
) -> None:
    """Run ``scenario`` with the simulator's devices against the service behind ``link``."""
    gateway = type("LinkedGateway", (TwinGateway,), {"link": link})
    patch.setattr("sim.plane.reference.Gateway", gateway)
    patch.setattr("sim.plane.fleet.Line", TwinLine)
    plane = TwinPlane(scenario=scenario)
    plane.watched_by(link)
    control = TwinControl(scenario=scenario, catalogue=catalogue, plane=plane)
    control.link = link
    reached_us = control.run(None, None)
    assert reached_us == scenario.end_us
    link.end(reached_us)


def differences(
    simulated: tuple[HourlyRow, ...], served: tuple[HourlyRow, ...]
) -> list[tuple[Any, ...]]:
    """Return (key, column, simulated, served) wherever the two tables are not equal."""
    ours = {key_of(row): row for row in served}
    theirs = {key_of(row): row for row in simulated}
    found: list[tuple[Any, ...]] = [
        (key, "row", key in theirs, key in ours) for key in sorted(set(ours) ^ set(theirs))
    ]
    for key in sorted(set(ours) & set(theirs)):
        for name in COMPARED:
            there, here = getattr(theirs[key], name), getattr(ours[key], name)
            if there != here:
                found.append((key, name, there, here))
    return found


def possible(scenario: Scenario) -> Scenario:
    """Return ``scenario`` with connections of kinds that each VPG's type may have.

    Random scenarios are not read from a file, where this would have been refused, as the service
    refuses it.
    """
    types = {one.id: one.type for one in scenario.vpgs}
    events = tuple(
        dataclasses.replace(one, kind="peering")
        if isinstance(one, model.ConnectionChange)
        and one.kind == "vpn"
        and types[one.vpg_id] == "C"
        else one
        for one in scenario.events
    )
    return dataclasses.replace(scenario, events=events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One scenario, simulated and served."""

    differences: list[tuple[Any, ...]]
    simulated: RunResult
    link: Transport
    kept: list[tuple[str, bool]]
    """(line, ghost) of each session that the store says lives."""


def compare(
    scenario: Scenario,
    catalogue: Catalogue,
    *,
    simulated: RunResult | None = None,
    make: Callable[..., Transport] = Transport,
) -> Comparison:
    """Run ``scenario`` through the simulator and through the service; compare their hours."""
    simulated = simulated or simulate(scenario, catalogue, engine="reference")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        store = SqliteStore(Path(folder) / "twin.db")
        try:
            link = make(scenario, catalogue, store)
            run_twin(scenario, catalogue, link, patch)
            hours = store.hourly(None, scenario.start_us, scenario.end_us, scenario.end_us)
            kept = sorted((one.sim_id, one.ghost) for one in store.sessions())
        finally:
            store.close()
    return Comparison(
        differences=differences(simulated.rows, hours.rows),
        simulated=simulated,
        link=link,
        kept=kept,
    )
