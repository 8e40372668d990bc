"""The simulator's planes in the service's time: devices that wait for answers.

Owns: going on with the device model as service time goes on, and the end of a run. Does not own:
the order of events (``sim.plane``, ``sim.control``) or what devices do (``devices``). Times:
``SimUs`` of service time; pauses are seconds of this machine.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final, cast

from loadtests.fleet.devices import LiveFleet, LiveGateway
from scenarios import model
from sim.control import Control
from sim.plane.alarm import Alarm
from sim.plane.reference import ReferencePlane

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.fleet.link import Link
    from sim.plane.fleet import FleetState
    from sim.plane.gateway import Gateway
    from vpg.catalogue.model import Catalogue, Limits

TURN_EVENTS: Final = 50
"""Events of the device model between two looks at the sockets."""
PAUSE_S: Final = 0.1
"""Longest pause between two looks at the signal to stop."""
_CONNECTIONS: Final = {
    "peering": "peeringConnections",
    "vif": "virtualInterfaces",
    "vpn": "vpnConnections",
}
NOT_TOLD: Final = (model.UpstreamFault, model.MirrorPeerFault, model.RedirectionFault, model.Growth)
"""Events that the service has no way to be told of."""


_FIRST: Final = -1
"""Before everything else of its microsecond."""


class LivePlane(ReferencePlane):
    """The devices' half of the reference plane."""

    def __init__(self, *, scenario: model.Scenario, link: Link) -> None:
        """Prepare the devices of ``scenario`` behind ``link``."""
        super().__init__(scenario=scenario)
        self._link = link
        link.model = self._clock

    def _new_gateway(self, vpg: model.Vpg, limits: Limits) -> Gateway:
        return LiveGateway(
            vpg=vpg,
            limits=limits,
            assumptions=self._scenario.assumptions,
            now_us=self._now_us,
            link=self._link,
        )

    def _new_fleet(
        self, kind: type[FleetState], fleet: model.Fleet, gateway: Gateway
    ) -> FleetState:
        del kind
        return super()._new_fleet(LiveFleet, fleet, gateway)

    def delete_vpg(self, vpg_id: str) -> None:
        """End a VPG, in the service too."""
        cast("LiveGateway", self._gateways[vpg_id]).ended_us = self._now_us
        self._link.administer("POST", f"/v1/vpgs/{vpg_id}/terminate")
        super().delete_vpg(vpg_id)

    @property
    def now_us(self) -> int:
        """The instant the device model has reached."""
        return self._now_us

    def due_us(self, until_us: int) -> int:
        """Return when something happens next, at most ``until_us``."""
        return int(min(self._clock.peek(), self._loaded_until_us, until_us))

    def go_on(self, until_us: int) -> bool:
        """Do some of what comes before ``until_us``; return whether nothing of it is left."""
        while self._now_us < until_us:
            if self._now_us >= self._loaded_until_us:
                self._load_hour()
            stop_us = min(until_us, self._loaded_until_us)
            for _ in range(TURN_EVENTS):
                if self._clock.peek() >= stop_us:
                    break
                self._clock.step()
            else:
                return False
            # Stopping SimPy would leave a stopped event behind; a mark in time does not.
            Alarm(self._clock, _mark).set(stop_us, _FIRST)
            self._clock.step()
        return True


def _mark(alarm: Alarm) -> None:
    """Be an instant at which nothing happens."""


class LiveControl(Control):
    """The scenario's clock, in the service's time; its administrators call the service."""

    def __init__(
        self, *, scenario: model.Scenario, catalogue: Catalogue, plane: LivePlane, link: Link
    ) -> None:
        """Put every control instant on the clock."""
        super().__init__(scenario=scenario, catalogue=catalogue, plane=plane)
        self._devices = plane
        self._link = link
        self._woken = asyncio.Event()
        link.wake = self._woken.set

    async def run_live(self, stop: Callable[[], bool], drain_s: float) -> int:
        """Run to the scenario's end or until ``stop``; return the instant reached.

        Then nothing more is sent, and what is under way may take ``drain_s`` to be answered.
        """
        end_us = self._scenario.end_us
        while True:
            next_us = int(min(self._clock.peek(), end_us))
            reached_us = await self._live_until(next_us, stop)
            if reached_us < next_us or next_us == end_us:
                break
            self._clock.step()
            await self._link.tell()
        self._link.closing = True
        await self._drain(drain_s)
        self._close_rows(reached_us, last=True)
        await self._link.tell()
        return reached_us

    async def _live_until(self, until_us: int, stop: Callable[[], bool]) -> int:
        plane, clock = self._devices, self._link.clock
        while plane.now_us < until_us:
            if stop():
                break
            if not plane.go_on(min(until_us, max(plane.now_us, clock.now_us()))):
                await asyncio.sleep(0)
                continue
            pause_s = clock.wall_s(plane.due_us(until_us) - clock.now_us())
            if pause_s > 0:
                await self._pause(min(pause_s, PAUSE_S))
            else:
                await asyncio.sleep(0)
        return plane.now_us

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until an answer comes."""
        self._woken.clear()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, self._woken.set)
        await self._woken.wait()
        timer.cancel()

    async def _drain(self, drain_s: float) -> None:
        """Let devices hear the answers that are still to come."""
        plane, clock = self._devices, self._link.clock
        loop = asyncio.get_running_loop()
        end_s = loop.time() + drain_s
        while self._link.flying and loop.time() < end_s:
            plane.go_on(max(plane.now_us, clock.now_us()))
            await self._pause(0.02)
        while not plane.go_on(max(plane.now_us, clock.now_us())):  # noqa: ASYNC110 - it works on
            await asyncio.sleep(0)

    def _bill_side(self, event: model.Event) -> None:
        document: dict[str, Any] = {}
        if isinstance(event, model.ConnectionChange):
            held = self._ledgers[event.vpg_id].connections(event.kind)
            document = {_CONNECTIONS[event.kind]: held + event.change}
        elif isinstance(event, model.FeatureSwitch):
            if event.feature == "fixed_ip":
                document = {"fixedIpSets": event.value}
            else:
                document = {event.feature: bool(event.value)}
        elif isinstance(event, model.Recreate):
            document = {"type": event.type, "size": event.size}
        if document:
            vpg_id: str = getattr(event, "vpg_id", "")
            self._link.administer("PATCH", f"/v1/vpgs/{vpg_id}", json.dumps(document).encode())
        super()._bill_side(event)
