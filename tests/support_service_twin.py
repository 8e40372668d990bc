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
from sim.control import Control
from sim.plane import gateway as gw
from sim.plane.gateway import Gateway as SimulatedGateway
from sim.plane.line import Line
from sim.plane.reference import ReferencePlane
from sim.plane.session import ATTACHED
from sim.run import simulate
from tests.support_service_transport import Transport
from vpg.cli import serving_values
from vpg.rating.hourly import NAMES, SERVICES, HourlyRow, key_of
from vpg.service.store.sqlite import SqliteStore
from vpg.service.values import LineEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scenarios.model import Scenario
    from sim.plane.message import Message, Origin
    from sim.plane.session import SessionSide
    from vpg.catalogue.model import Catalogue, Limits
    from vpg.rating.events import ServiceName
    from vpg.results import RunResult
    from vpg.service.gateway.answers import Verdict

COMPARED = tuple(name for name in NAMES if not name.startswith("delay_"))
_DECISIONS = {
    "created": gw.CREATED,
    "refused": gw.REFUSED,
    "rejected": gw.REJECTED,
    "rejected_for_good": gw.REJECTED_FOR_GOOD,
}


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
        self._evicts = assumptions.a02_above_line_cap == "evict_longest_idle"
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
        gone = self.link.evicted(twin.sim_id) if self._evicts else None
        if gone is not None:
            name, ghost = gone
            other = self.by_name[name]
            if other.ghost if ghost else other.session:
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
            imsi=f"00101{rank:010d}",
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
            try:
                run_twin(scenario, catalogue, link, patch)
                rows = link.rows(scenario.end_us)
            finally:
                link.close()
            kept = sorted((one.sim_id, one.ghost) for one in store.sessions())
        finally:
            store.close()
    return Comparison(
        differences=differences(simulated.rows, rows),
        simulated=simulated,
        link=link,
        kept=kept,
    )
