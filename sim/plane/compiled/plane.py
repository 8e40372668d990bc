"""The compiled data plane: the plane protocol over compiled VPGs, byte for byte the reference's.

Owns: which VPGs and lines an event concerns. Does not own: the model itself (``kernel`` and what it
calls). Times: ``SimUs``.
"""

from __future__ import annotations

import bisect
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import singledispatchmethod
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from scenarios import model
from sim.plane.compiled import layout as at
from sim.plane.compiled.ahead import Ahead
from sim.plane.compiled.vpg import CompiledVpg
from sim.traffic.draws import Purpose
from vpg.rating.hourly import SERVICES
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sim.plane.compiled.jit import Ints
    from sim.plane.flow import Flow, Little
    from vpg.catalogue.model import Limits
    from vpg.results import MinuteRow


class CompiledPlane:
    """Sessions and attempts in compiled code."""

    piece_us = HOUR_US
    piece_events = 1 << 62
    """Never shorter than an hour: that is a fraction of a second even of a million lines."""

    def __init__(self, *, scenario: model.Scenario, replication: int = 0, workers: int = 1) -> None:
        """Prepare an empty plane at the scenario's start.

        ``workers`` threads share the VPGs, or the hours of the only one; the result is the same.
        """
        self._scenario = scenario
        self._replication = replication
        self._now_us = scenario.start_us
        self._vpgs: dict[str, CompiledVpg] = {}
        self._joined = {fleet.name: fleet.lines for fleet in scenario.fleets}
        self._vpg_of = {fleet.name: fleet.vpg_id for fleet in scenario.fleets}
        self._dark: list[model.CarrierOutage | model.PowerCut] = []
        self._crew = ThreadPoolExecutor(workers) if workers > 1 else None
        self._workers = workers
        self._instants: list[int] = []

    def foresee(self, instants_us: Iterable[int]) -> None:
        """Learn when anything but an hour tick comes from outside."""
        self._instants = sorted({*instants_us, self._scenario.end_us})

    @property
    def events(self) -> int:
        """Attempts and attach attempts so far."""
        return sum(vpg.events for vpg in self._vpgs.values())

    def advance(self, until_us: int) -> None:
        """Do everything before ``until_us``."""
        next_one = bisect.bisect_right(self._instants, self._now_us)
        quiet_until_us = self._instants[next_one] if next_one < len(self._instants) else until_us
        for vpg in self._vpgs.values():
            vpg.quiet_until_us = quiet_until_us
        if self._crew is not None and len(self._vpgs) > 1:
            deque(self._crew.map(CompiledVpg.advance, self._vpgs.values(), repeat(until_us)), 0)
        else:
            for vpg in self._vpgs.values():
                vpg.advance(until_us)
        self._now_us = until_us

    # ---- VPGs ----------------------------------------------------------------------------------

    def create_vpg(self, vpg: model.Vpg, limits: Limits) -> None:
        """Let ``vpg`` and the fleets bound to it exist from now on."""
        state = CompiledVpg(
            scenario=self._scenario,
            replication=self._replication,
            vpg=vpg,
            limits=limits,
            joined=self._joined,
            now_us=self._now_us,
            ahead=self._hours_ahead(),
        )
        self._vpgs[vpg.id] = state
        for name, fleet in state.fleets.items():
            self._welcome(state, name, np.arange(fleet.base, fleet.base + fleet.joined))

    def _hours_ahead(self) -> Ahead:
        """Return who computes hours ahead: of the only VPG in segments, of many one after another.

        A VPG that runs for many hours at once keeps the processor's cache to itself.
        """
        only = len(self._scenario.vpgs) == 1
        return Ahead(crew=self._crew, segments=self._workers if only else 1)

    def _welcome(self, vpg: CompiledVpg, name: str, rows: Ints) -> None:
        """Let new lines meet what is going on, and attach if they should."""
        for event in self._dark:
            if name in event.fleets:
                hit = np.intersect1d(rows, vpg.rows_of(name, event.share_ppm, event.at_us))
                _darken(event, vpg, hit)
        session = vpg.fleets[name].fleet.session
        if session.attach == "at_start":
            delays_us = vpg.ramps_us(name, rows, session.ramp, Purpose.START_RAMP, 0)
            vpg.obey(at.ATTACH_ANY, rows, delays_us)

    def delete_vpg(self, vpg_id: str) -> None:
        """End a VPG and everything on it."""
        self._vpgs[vpg_id].delete()

    def resize_vpg(self, vpg_id: str, limits: Limits, *, cut_sessions: bool) -> None:
        """Change the limits of a VPG, cutting every session where it is created anew."""
        vpg = self._vpgs[vpg_id]
        vpg.resize(limits)
        if cut_sessions:
            vpg.cut_all()

    def take_row(self, vpg_id: str) -> Flow:
        """Return the figures since the last call and begin anew."""
        return self._vpgs[vpg_id].take_row()

    def take_minutes(self, *, final: bool = False) -> list[MinuteRow]:
        """Return the minutes finished since the last call; ``final``: the running one too."""
        return [row for vpg in self._vpgs.values() for row in vpg.take_minutes(final=final)]

    def little(self, vpg_id: str) -> Little:
        """Return Little's two counts from the creation of the VPG to now."""
        return self._vpgs[vpg_id].little()

    # ---- events --------------------------------------------------------------------------------

    def _concerned(
        self, names: tuple[str, ...], share_ppm: int, at_us: int
    ) -> Iterator[tuple[CompiledVpg, str, Ints]]:
        for name in sorted(names):
            vpg = self._vpgs.get(self._vpg_of[name])
            if vpg is not None and vpg.exists:
                rows = vpg.rows_of(name, share_ppm, at_us)
                yield vpg, name, rows

    @singledispatchmethod
    def begin(self, event: model.Event) -> None:
        """Let ``event`` begin; events that only change the bill mean nothing to this plane."""

    @singledispatchmethod
    def end(self, event: model.Event) -> None:
        """Let ``event`` end; most have no end."""

    @begin.register
    def _(self, event: model.CarrierOutage | model.PowerCut) -> None:
        self._dark.append(event)
        for vpg, _, rows in self._concerned(event.fleets, event.share_ppm, event.at_us):
            _darken(event, vpg, rows)

    @end.register
    def _(self, event: model.CarrierOutage | model.PowerCut) -> None:
        self._dark.remove(event)
        for vpg, name, rows in self._concerned(event.fleets, event.share_ppm, event.at_us):
            delays_us = vpg.ramps_us(name, rows, event.release, Purpose.EVENT_RAMP, event.until_us)
            if isinstance(event, model.PowerCut):
                vpg.obey(at.POWER_BACK, rows, delays_us)
            else:
                vpg.obey(at.RADIO_BACK, rows, delays_us)

    @begin.register
    def _(self, event: model.ForcedCut) -> None:
        for vpg, _, rows in self._concerned(event.fleets, event.share_ppm, event.at_us):
            vpg.obey(at.CUT, rows)

    @begin.register
    def _(self, event: model.AttachLines) -> None:
        for vpg, name, rows in self._concerned(event.fleets, event.share_ppm, event.at_us):
            delays_us = vpg.ramps_us(name, rows, event.ramp, Purpose.EVENT_RAMP, event.at_us)
            vpg.obey(at.ATTACH_IDLE, rows, delays_us)

    @begin.register
    def _(self, event: model.FeatureSwitch) -> None:
        vpg = self._vpgs[event.vpg_id]
        if event.feature == "mirroring":
            vpg.mirroring = bool(event.value)
        elif event.feature == "redirection":
            vpg.redirecting = bool(event.value)
        elif event.feature == "inspection":
            vpg.inspecting = bool(event.value)
        vpg.refresh_path()

    @begin.register
    def _(self, event: model.UpstreamFault) -> None:
        self._upstream(event, 1)

    @end.register
    def _(self, event: model.UpstreamFault) -> None:
        self._upstream(event, -1)

    def _upstream(self, event: model.UpstreamFault, change: int) -> None:
        vpg = self._vpgs[event.vpg_id]
        for name in event.services:
            service = SERVICES.index(name)
            if event.mode == "down":
                vpg.down[service] += change
            else:
                vpg.slow_us[service] += change * event.delay_us
        vpg.refresh_path()

    @begin.register
    def _(self, event: model.MirrorPeerFault) -> None:
        self._peer(event, 1)

    @end.register
    def _(self, event: model.MirrorPeerFault) -> None:
        self._peer(event, -1)

    def _peer(self, event: model.MirrorPeerFault, change: int) -> None:
        vpg = self._vpgs[event.vpg_id]
        for index, peer in enumerate(vpg.vpg.mirror_peers):
            if peer.ip == event.ip:
                vpg.end_steady()
                peers = vpg.memory["peers"]
                peers[peers[:, at.P_INDEX] == index, at.P_DOWN] += change

    @begin.register
    def _(self, event: model.RedirectionFault) -> None:
        self._redirection(event, 1)

    @end.register
    def _(self, event: model.RedirectionFault) -> None:
        self._redirection(event, -1)

    def _redirection(self, event: model.RedirectionFault, change: int) -> None:
        vpg = self._vpgs[event.vpg_id]
        vpg.redirection_down += change
        vpg.refresh_path()

    @begin.register
    def _(self, event: model.LineChange) -> None:
        vpg = self._vpgs.get(self._vpg_of[event.fleet])
        if vpg is not None and vpg.exists:
            fleet = vpg.fleets[event.fleet]
            last = min(event.first_line + event.lines, fleet.joined)
            rows = np.arange(fleet.base + min(event.first_line, last), fleet.base + last)
            vpg.obey(at.STATUS, rows, at.STATUSES.index(event.status))

    @begin.register
    def _(self, event: model.Growth) -> None:
        self._joined[event.fleet] += event.lines
        vpg = self._vpgs.get(self._vpg_of[event.fleet])
        if vpg is not None and vpg.exists:
            self._welcome(vpg, event.fleet, vpg.join(event.fleet, event.lines, "active"))


def _darken(event: model.CarrierOutage | model.PowerCut, vpg: CompiledVpg, rows: Ints) -> None:
    if isinstance(event, model.PowerCut):
        vpg.obey(at.POWER_LOST, rows)
    else:
        vpg.obey(at.RADIO_LOST, rows, int(event.sessions == "ghost"))
