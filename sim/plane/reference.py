"""The reference data plane: SimPy, one process per line; the readable specification and oracle.

Owns: the plane protocol over ``fleet``, ``line`` and ``gateway``. Does not own: the clock of the
scenario (``sim.control``), random draws (``sim.traffic``). Times: ``SimUs``.
"""

from __future__ import annotations

from functools import singledispatchmethod
from typing import TYPE_CHECKING

from simpy.core import StopSimulation

from scenarios import model
from sim.plane.alarm import Alarm, Clock
from sim.plane.fleet import FleetState
from sim.plane.flow import Flow, Little
from sim.plane.gateway import Gateway
from sim.plane.session import IDLE
from sim.plane.tally import SERVICE_INDEX
from sim.traffic.draws import Purpose
from vpg.errors import ensure
from vpg.timebase import HOUR_US, MINUTE_US, hour_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sim.plane.line import Line
    from vpg.catalogue.model import Limits
    from vpg.results import MinuteRow

_STOP = -1
"""Before everything else of its microsecond, SimPy's own events included."""


class ReferencePlane:
    """Sessions and attempts as SimPy processes."""

    piece_us = MINUTE_US
    piece_events = 20_000

    def __init__(self, *, scenario: model.Scenario, replication: int = 0) -> None:
        """Prepare an empty plane at the scenario's start."""
        self._scenario = scenario
        self._replication = replication
        self._clock = Clock(scenario.start_us)
        self._gateways: dict[str, Gateway] = {}
        self._fleets: dict[str, FleetState] = {}
        self._ranks = {name: i for i, name in enumerate(sorted(f.name for f in scenario.fleets))}
        self._lines = {fleet.name: fleet.lines for fleet in scenario.fleets}
        self._loaded_until_us: int = scenario.start_us
        self._events_before = 0
        self._dark: list[model.CarrierOutage | model.PowerCut] = []
        """Outages and power cuts in force: they also hit the lines that join meanwhile."""

    # ---- time ----------------------------------------------------------------------------------

    def foresee(self, instants_us: Iterable[int]) -> None:
        """Learn nothing: this plane does one thing after the other."""

    @property
    def _now_us(self) -> int:
        return self._clock.now

    def advance(self, until_us: int) -> None:
        """Do everything before ``until_us``."""
        while self._now_us < until_us:
            if self._now_us >= self._loaded_until_us:
                self._load_hour()
            stop_us = min(until_us, self._loaded_until_us)
            Alarm(self._clock, StopSimulation.callback).set(stop_us, _STOP)
            self._clock.run()
            ensure(self._now_us == stop_us, "the reference plane stops where it was told to")

    def _load_hour(self) -> None:
        hour_us = hour_start(self._now_us)
        for fleet in self._fleets.values():
            if fleet.gateway.exists:
                fleet.load_hour(hour_us, self._now_us)
        self._loaded_until_us = hour_us + HOUR_US

    @property
    def events(self) -> int:
        """Attempts and attach attempts so far."""
        return self._events_before + sum(g.events() for g in self._gateways.values())

    # ---- VPGs ----------------------------------------------------------------------------------

    def create_vpg(self, vpg: model.Vpg, limits: Limits) -> None:
        """Let ``vpg`` and the fleets bound to it exist from now on."""
        gateway = self._new_gateway(vpg, limits)
        self._gateways[vpg.id] = gateway
        bound = [fleet for fleet in self._scenario.fleets if fleet.vpg_id == vpg.id]
        for fleet in sorted(bound, key=lambda fleet: fleet.name):
            state = self._new_fleet(FleetState, fleet, gateway)
            self._fleets[fleet.name] = state
            self._welcome(state, state.lines)

    def _new_gateway(self, vpg: model.Vpg, limits: Limits) -> Gateway:
        return Gateway(
            vpg=vpg, limits=limits, assumptions=self._scenario.assumptions, now_us=self._now_us
        )

    def _new_fleet(
        self, kind: type[FleetState], fleet: model.Fleet, gateway: Gateway
    ) -> FleetState:
        scenario = self._scenario
        return kind(
            fleet=fleet,
            rank=self._ranks[fleet.name],
            lines=self._lines[fleet.name],
            clock=self._clock,
            gateway=gateway,
            assumptions=scenario.assumptions,
            seed=scenario.seed,
            replication=self._replication,
            start_us=scenario.start_us,
            end_us=scenario.end_us,
        )

    def _welcome(self, fleet: FleetState, lines: list[Line]) -> None:
        """Let new lines create the rest of the hour's messages, and attach if they should."""
        now_us = self._now_us
        if now_us < self._loaded_until_us and lines:
            fleet.load_hour(hour_start(now_us), now_us, lines[0].index)
        for event in self._dark:
            if fleet.fleet.name in event.fleets:
                joined = set(lines).intersection(fleet.chosen(event.share_ppm, event.at_us))
                for line in sorted(joined, key=lambda line: line.rank):
                    _darken(event, line)
        if fleet.fleet.session.attach != "at_start":
            return
        for line in lines:
            if line.sending:
                ramp = fleet.fleet.session.ramp
                line.start_attach(fleet.ramp_us(ramp, line, Purpose.START_RAMP, 0))

    def delete_vpg(self, vpg_id: str) -> None:
        """End a VPG and everything on it."""
        gateway = self._gateways[vpg_id]
        gateway.exists = False
        gateway.cut_all(self._now_us)
        for line in gateway.lines:
            line.silence()

    def resize_vpg(self, vpg_id: str, limits: Limits, *, cut_sessions: bool) -> None:
        """Change the limits of a VPG, cutting every session where it is created anew."""
        gateway = self._gateways[vpg_id]
        gateway.resize(limits, self._now_us)
        if cut_sessions:
            gateway.cut_all(self._now_us)

    def take_row(self, vpg_id: str) -> Flow:
        """Return the figures since the last call and begin anew."""
        self._events_before += self._gateways[vpg_id].events()
        return Flow(*self._gateways[vpg_id].take_row(self._now_us))

    def take_minutes(self, *, final: bool = False) -> list[MinuteRow]:
        """Return the minutes finished since the last call; ``final``: the running one too."""
        gateways = self._gateways.values()
        return [row for gateway in gateways for row in gateway.take_minutes(final=final)]

    def little(self, vpg_id: str) -> Little:
        """Return Little's two counts from the creation of the VPG to now."""
        gateway, now_us = self._gateways[vpg_id], self._now_us
        fleets = [fleet for fleet in self._fleets.values() if fleet.gateway is gateway]
        still_open_us = sum(
            now_us - message.created_us
            for fleet in fleets
            for line in fleet.lines
            for message in line.undecided
        )
        return Little(gateway.area_message_us(now_us), gateway.sojourn_message_us + still_open_us)

    # ---- events --------------------------------------------------------------------------------

    def _concerned(
        self, names: tuple[str, ...], share_ppm: int, at_us: int
    ) -> Iterator[tuple[FleetState, Line]]:
        for name in sorted(names):
            fleet = self._fleets.get(name)
            if fleet is not None and fleet.gateway.exists:
                for line in fleet.chosen(share_ppm, at_us):
                    yield fleet, line

    @singledispatchmethod
    def begin(self, event: model.Event) -> None:
        """Let ``event`` begin; events that only change the bill mean nothing to this plane."""

    @singledispatchmethod
    def end(self, event: model.Event) -> None:
        """Let ``event`` end; most have no end."""

    @begin.register
    def _(self, event: model.CarrierOutage | model.PowerCut) -> None:
        self._dark.append(event)
        for _, line in self._concerned(event.fleets, event.share_ppm, event.at_us):
            _darken(event, line)

    @end.register
    def _(self, event: model.CarrierOutage | model.PowerCut) -> None:
        self._dark.remove(event)
        for fleet, line in self._concerned(event.fleets, event.share_ppm, event.at_us):
            ramp_us = fleet.ramp_us(event.release, line, Purpose.EVENT_RAMP, event.until_us)
            if isinstance(event, model.PowerCut):
                line.power_back(ramp_us)
            else:
                line.radio_back(ramp_us)

    @begin.register
    def _(self, event: model.ForcedCut) -> None:
        for _, line in self._concerned(event.fleets, event.share_ppm, event.at_us):
            line.lose_session()

    @begin.register
    def _(self, event: model.AttachLines) -> None:
        for fleet, line in self._concerned(event.fleets, event.share_ppm, event.at_us):
            if line.sending and line.state == IDLE:
                line.start_attach(fleet.ramp_us(event.ramp, line, Purpose.EVENT_RAMP, event.at_us))
                line.release()

    @begin.register
    def _(self, event: model.FeatureSwitch) -> None:
        gateway = self._gateways[event.vpg_id]
        if event.feature == "mirroring":
            gateway.mirror.on = bool(event.value)
        elif event.feature == "redirection":
            gateway.redirecting = bool(event.value)
        elif event.feature == "inspection":
            gateway.inspecting = bool(event.value)
        gateway.refresh_path()

    @begin.register
    def _(self, event: model.UpstreamFault) -> None:
        self._upstream(event, 1)

    @end.register
    def _(self, event: model.UpstreamFault) -> None:
        self._upstream(event, -1)

    def _upstream(self, event: model.UpstreamFault, change: int) -> None:
        gateway = self._gateways[event.vpg_id]
        for name in event.services:
            service = SERVICE_INDEX[name]
            if event.mode == "down":
                gateway.down[service] += change
            else:
                gateway.slow_us[service] += change * event.delay_us
        gateway.refresh_path()

    @begin.register
    def _(self, event: model.MirrorPeerFault) -> None:
        self._gateways[event.vpg_id].mirror.fault(event.ip, 1)

    @end.register
    def _(self, event: model.MirrorPeerFault) -> None:
        self._gateways[event.vpg_id].mirror.fault(event.ip, -1)

    @begin.register
    def _(self, event: model.RedirectionFault) -> None:
        self._redirection(event, 1)

    @end.register
    def _(self, event: model.RedirectionFault) -> None:
        self._redirection(event, -1)

    def _redirection(self, event: model.RedirectionFault, change: int) -> None:
        gateway = self._gateways[event.vpg_id]
        gateway.redirection_down += change
        gateway.refresh_path()

    @begin.register
    def _(self, event: model.LineChange) -> None:
        fleet = self._fleets.get(event.fleet)
        if fleet is not None and fleet.gateway.exists:
            for line in fleet.lines[event.first_line : event.first_line + event.lines]:
                line.change_status(event.status)

    @begin.register
    def _(self, event: model.Growth) -> None:
        self._lines[event.fleet] += event.lines
        fleet = self._fleets.get(event.fleet)
        if fleet is not None and fleet.gateway.exists:
            self._welcome(fleet, fleet.add_lines(event.lines))


def _darken(event: model.CarrierOutage | model.PowerCut, line: Line) -> None:
    if isinstance(event, model.PowerCut):
        line.power_lost()
    else:
        line.radio_lost(ghost=event.sessions == "ghost")
