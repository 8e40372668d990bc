"""One run of a fleet against a service: connect, check, go on in its time, count, judge.

Owns: the order of the steps and what a run leaves behind. Does not own: any step's inside. Times:
``SimUs`` of service time; ``*_s`` seconds of this machine.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import uvloop

from loadtests.fleet import target as targets
from loadtests.fleet.api import Api
from loadtests.fleet.judging import Agreement, agreements, stored
from loadtests.fleet.link import Link
from loadtests.fleet.mqtt import ALL, MqttFleet
from loadtests.fleet.plane import NOT_TOLD, LiveControl, LivePlane
from loadtests.fleet.window import LEAD_US, following, window
from loadtests.fleet.wire import Lane, Wire
from scenarios import model
from sim.control import EVENT_WORDS
from vpg.errors import InputError, Problem
from vpg.rating.hourly import COLUMNS, key_of
from vpg.results import RunResult
from vpg.timebase import SECOND_US, hour_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.fleet.counts import Counts
    from loadtests.fleet.target import Target
    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue
    from vpg.rating.hourly import HourlyRow

API_CONNECTIONS: Final = 64
DRAIN_S: Final = 10.0
ANSWER_S: Final = 30.0
LATE_MS: Final = 50
"""A generator has starved when more than 1 % of its requests leave later."""
LATE_FEW: Final = 2
"""So many late requests say nothing, however few were sent."""
CONNECTIONS: Final = 4_000
CONNECTIONS_MAX: Final = 10_000
WALL_MAX_S: Final = 24 * 3_600
_SETTLE_US: Final = 2 * SECOND_US
"""Refusals of a second leave the gateway once it is over."""
_CONFIGURED: Final = frozenset(
    column.name
    for column in COLUMNS
    if column.is_text
    or column.aggregate == "state"
    or column.name
    in {
        "vpg_exists",
        "peering_peak",
        "vif_peak",
        "vpn_peak",
        "junction_on",
        "inspection_on",
        "fixed_ip_sets",
        "hour_start_us",
        "config_seq",
    }
)
"""Columns that say what a VPG is, and percentiles of the devices' delays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """How a fleet is to run."""

    speed: int | None = None
    """How fast service time runs; None: as measured."""
    connections: int = CONNECTIONS
    answer_s: float = ANSWER_S
    late_ms: int = LATE_MS
    mqtt: tuple[str, ...] = ()
    """Fleets whose Beam messages go by MQTT."""
    puback_s: float = 1.0
    """Without a PUBACK for so long a publish was throttled."""
    for_us: int | None = None
    """How much of what is left of the scenario is played; None: all."""
    owned: bool = False
    """The target is ours to load, wherever it is."""
    at_rest: bool = True
    """The target must not be loaded by others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRun:
    """What a run leaves behind."""

    scenario: Scenario
    """What was played: the scenario from the instant on at which the fleet joined."""
    result: RunResult
    """Hourly rows as the store has them, with the devices' delays."""
    counts: Counts
    agreements: list[Agreement]
    speed: int
    wall_s: float
    cpu_s: float
    lines: int
    connections_opened: int
    connections_peak: int
    connections_left: int
    """Still open after the end: 0."""
    connections_refused: int
    waited: int
    """Requests that waited for a connection of another device."""
    pending: int
    """Requests whose answer had not come when the run gave up waiting."""
    late_ms: int
    problems: list[str] = field(default_factory=list)

    @property
    def starved(self) -> bool:
        """Whether the generator could not send when it should have."""
        late = self.counts.beyond(self.late_ms * 1_000)
        return (
            late > max(LATE_FEW, self.counts.sent // 100)
            or self.counts.sent < self.counts.intended
            or self.counts.unsent > 0
        )

    @property
    def agrees(self) -> bool:
        """Whether devices and store agree on every figure."""
        acts = not self.counts.acts_failed and not self.counts.unexpected
        return acts and not self.connections_left and all(one.holds for one in self.agreements)


def playable(scenario: Scenario) -> None:
    """Raise ``InputError`` (VPG1924) for events that a live service cannot be told of."""
    problems = [
        Problem(code="VPG1924", values={"kind": EVENT_WORDS[type(event)]})
        for event in scenario.events
        if isinstance(event, NOT_TOLD)
    ]
    if problems:
        raise InputError(problems)


def carried(scenario: Scenario, mqtt: tuple[str, ...]) -> None:
    """Raise ``InputError`` for fleets that cannot go by MQTT: unknown ones (VPG1925).

    An answer cannot go by MQTT either (VPG1926), nor by Funnel and Funk (VPG1927).
    """
    known = {fleet.name for fleet in scenario.fleets}
    problems = [
        Problem(code="VPG1925", values={"value": name, "known": ", ".join(sorted(known))})
        for name in mqtt
        if name not in {ALL, *known}
    ]
    for fleet in scenario.fleets:
        by_mqtt = fleet.name in mqtt or ALL in mqtt
        for source in fleet.traffic:
            if not source.down.high_bytes and not source.down.choices:
                continue
            values = {"fleet": fleet.name, "source": source.name, "service": source.service}
            if by_mqtt and source.service == "beam":
                problems.append(Problem(code="VPG1926", values=values))
            elif source.service in {"funnel", "funk"}:
                problems.append(Problem(code="VPG1927", values=values))
    if problems:
        raise InputError(problems)


def run_fleet(
    scenario: Scenario,
    catalogue: Catalogue,
    target: Target,
    options: FleetOptions,
    *,
    stop: Callable[[], bool] = lambda: False,
    begun: Callable[[Scenario], None] = lambda _: None,
) -> FleetRun:
    """Play ``scenario`` against ``target``; ``begun`` hears what exactly is played.

    Raises ``InputError`` for a target or a machine that will not do, ``StoppedEarlyError`` when
    ``stop`` says so before the first send.
    """
    playable(scenario)
    carried(scenario, options.mqtt)
    targets.check(target, owned=options.owned, at_rest=options.at_rest)
    targets.need_descriptors(options.connections)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(scenario, catalogue, target, options, stop, begun))


async def _run(  # noqa: PLR0917 - the steps' common ground
    scenario: Scenario,
    catalogue: Catalogue,
    target: Target,
    options: FleetOptions,
    stop: Callable[[], bool],
    begun: Callable[[Scenario], None],
) -> FleetRun:
    wire = Wire(connections_max=options.connections, answer_s=options.answer_s)
    api_wire = Wire(connections_max=API_CONNECTIONS + 1, answer_s=options.answer_s)
    mqtt = None
    try:
        host, port = target.addresses["api"]
        api = Api(api_wire, Lane(host, port, None, API_CONNECTIONS), target.token)
        names = await targets.names(api, scenario)
        clock = await targets.clock_of(api, options.speed)
        played = following(scenario, clock.now_us() + LEAD_US * clock.scale)
        if options.for_us is not None:
            played = window(played, played.start_us, played.start_us + options.for_us)
        if clock.wall_s(played.end_us - played.start_us) > WALL_MAX_S:
            hours = WALL_MAX_S // 3_600
            raise InputError([Problem(code="VPG1928", values={"hours": hours})])
        begun(played)
        link = Link(
            wire=wire,
            api=api,
            administration=Api(api_wire, Lane(host, port, None, 1), target.token),
            clock=clock,
            names=names,
            ports=target.addresses,
            by_address=target.is_loopback,
            token=target.token,
            resets=scenario.assumptions.a03_above_rate == "reset",
            run=time.monotonic_ns() ^ (os.getpid() << 8),
        )
        if options.mqtt:
            host, port = target.addresses["mqtt"]
            mqtt = MqttFleet(
                host=host,
                port=port,
                clock=clock,
                fleets=frozenset(options.mqtt),
                puback_s=options.puback_s,
                by_address=target.is_loopback,
                token=target.token,
                connections_max=options.connections,
            )
            link.mqtt = mqtt
        run = await _play(played, catalogue, link, options, stop)
    finally:
        if mqtt is not None:
            await mqtt.close()
        await wire.close()
        await api_wire.close()
    mqtt_opened, mqtt_peak = (mqtt.opened, mqtt.open_peak) if mqtt is not None else (0, 0)
    return dataclasses.replace(
        run,
        connections_opened=wire.opened + mqtt_opened,
        connections_peak=wire.open_peak + mqtt_peak,
        connections_left=wire.left + api_wire.left + (mqtt.open if mqtt is not None else 0),
        connections_refused=wire.refused,
        waited=wire.waited,
    )


async def _play(
    scenario: Scenario,
    catalogue: Catalogue,
    link: Link,
    options: FleetOptions,
    stop: Callable[[], bool],
) -> FleetRun:
    clock, api = link.clock, link.api
    for vpg_id, operator_id in await _orders(api):
        link.knows_vpg(vpg_id, operator_id)
    hour_us = hour_start(min(scenario.start_us, clock.now_us()))
    before = await api.hourly(hour_us, clock.now_us())
    while clock.now_us() < scenario.start_us and not stop():  # noqa: ASYNC110 - a clock, a signal
        await asyncio.sleep(min(0.05, max(0.0, clock.wall_s(scenario.start_us - clock.now_us()))))
    if stop():
        raise targets.StoppedEarlyError
    plane = LivePlane(scenario=scenario, link=link)
    control = LiveControl(scenario=scenario, catalogue=catalogue, plane=plane, link=link)
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    reached_us = await control.run_live(stop, DRAIN_S)
    wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    await asyncio.sleep(clock.wall_s(max(0, reached_us + _SETTLE_US - clock.now_us())) + 0.1)
    after = await api.hourly(hour_us, clock.now_us())
    partial = reached_us < scenario.end_us
    return FleetRun(
        scenario=scenario,
        result=RunResult(
            rows=merged(tuple(control.rows), after),
            delays=control.delays,
            minutes=(),
            notes=tuple(control.notes),
            status="partial" if partial else "complete",
            ended_at_us=reached_us,
            why_partial="interrupted" if partial else "",
        ),
        counts=link.counts,
        agreements=agreements(
            link.counts, stored(before), stored(after), bytes_max=_largest_bytes(scenario)
        ),
        speed=clock.scale,
        wall_s=wall_s,
        cpu_s=cpu_s,
        lines=sum(fleet.lines for fleet in scenario.fleets),
        connections_opened=0,
        connections_peak=0,
        connections_left=0,
        connections_refused=0,
        waited=0,
        pending=link.flying,
        late_ms=options.late_ms,
        problems=link.problems,
    )


async def _orders(api: Api) -> list[tuple[str, str]]:
    document, _ = await api.json("GET", "/v1/vpgs")
    return [(one["vpgId"], one["operatorId"]) for one in document]


def _largest_bytes(scenario: Scenario) -> int:
    """Return the size of the largest payload that a message or an answer may have."""
    sizes = [0]
    for fleet in scenario.fleets:
        for source in fleet.traffic:
            for payload in (source.up, source.down):
                sizes += [payload.high_bytes, *(size for size, _ in payload.choices)]
            if isinstance(source, model.Trace):
                sizes += [*source.bytes_up, *source.bytes_down]
    return max(sizes)


def merged(devices: tuple[HourlyRow, ...], service: tuple[HourlyRow, ...]) -> tuple[HourlyRow, ...]:
    """Return the rows of the run: flows as the store has them, the rest as the scenario has it.

    What a VPG is (its configuration, fees that fell due) is the scenario's, as the service may
    have begun before it; percentiles of delays are the devices', who alone know messages.
    """
    theirs = {key_of(row): row for row in service}
    rows = []
    for row in sorted(devices, key=key_of):
        found = theirs.get(key_of(row))
        if found is not None:
            flows = {
                column.name: getattr(found, column.name)
                for column in COLUMNS
                if column.name not in _CONFIGURED
            }
            rows.append(dataclasses.replace(row, **flows))
    return tuple(rows)
