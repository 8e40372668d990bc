"""The twin check: one scenario through the simulator and through a live service, side by side.

Owns: which window is compared at which speed, the tolerances and the verdict. Does not own: the
simulator (``sim``), the devices (``loadtests.fleet``), the service, or how it is shown. Times:
``SimUs``; ``wall`` is this machine's time.

Both sides have the same devices and the same draws; only the VPG differs: simulated there, live
here. So what differs is the service, or the machine was too slow, and then nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from loadtests.fleet.run import FleetOptions, FleetRun, carried, playable, run_fleet
from loadtests.fleet.target import target_of
from loadtests.fleet.window import window
from loadtests.served import served
from sim.run import simulate
from vpg.errors import InputError, Problem
from vpg.rating.hourly import SERVICES
from vpg.rating.totals import merge_histograms, totals
from vpg.timebase import SECOND_US, iso_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue
    from vpg.rating.totals import Totals
    from vpg.results import RunResult

WALL_S: Final = 45
"""How long the live half takes when nobody asks for a speed."""
WALL_MAX_S: Final = 3_600
FOR_S: Final = 600
"""The window when nobody asks for one."""
PACE_PER_S: Final = 100
"""Requests or attaches in a wall second that any machine can send and serve."""
LEAD_S: Final = 3
"""Wall seconds that the service runs before the scenario begins, to be found and measured."""
ACCEPTED_PPM: Final = 30_000
POINTS_PPM: Final = 5_000
DELAY_PPM: Final = 100_000
DELAY_WALL_US: Final = 20_000
MILLION: Final = 1_000_000

Kind = Literal["count", "share_ppm", "delay_us", "bytes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of both sides; ``tolerance`` is the largest difference that is agreement."""

    name: str
    kind: Kind
    simulated: int
    live: int
    tolerance: int

    @property
    def agrees(self) -> bool:
        """Whether both sides are as near as they should be."""
        return abs(self.live - self.simulated) <= self.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """Both sides of one scenario."""

    scenario: Scenario
    simulated: RunResult
    live: FleetRun
    figures: tuple[Figure, ...]
    speed: int

    @property
    def verdict(self) -> Literal["agree", "disagree", "cannot_tell"]:
        """What it comes to; a generator that starved says nothing about the service."""
        whole = self.live.result.status == "complete" and self.live.scenario == self.scenario
        if self.live.starved or not whole:
            return "cannot_tell"
        return "agree" if self.live.agrees and all(f.agrees for f in self.figures) else "disagree"

    def delays(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return both histograms of delays (bucket → messages), simulated and live."""
        return (
            merge_histograms(self.simulated.delays.values()),
            merge_histograms(self.live.result.delays.values()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Which part of a scenario, and how fast."""

    scenario: Scenario
    speed: int


def course(
    scenario: Scenario,
    catalogue: Catalogue,
    *,
    from_s: int = 0,
    for_s: int | None = None,
    speed: int | None = None,
) -> Course:
    """Return the window to compare and its speed; raises ``InputError`` (VPG1941, VPG1942).

    Unless asked otherwise it is the first ten minutes, as fast as keeps the wall time below a
    minute; slower, and shorter, where a second holds more than a small machine can send.
    """
    from_us = scenario.start_us + from_s * SECOND_US
    whole_s = (scenario.end_us - from_us) // SECOND_US
    if whole_s < 1:
        values = {"from_s": from_s, "length_s": (scenario.end_us - scenario.start_us) // SECOND_US}
        raise InputError([Problem(code="VPG1941", values=values)])
    length_s = min(whole_s, for_s or FOR_S)
    playable(scenario)
    if scenario.assumptions.a02_above_line_cap == "evict_longest_idle":
        raise InputError([Problem(code="VPG1943")])
    chosen = window(scenario, from_us, from_us + length_s * SECOND_US)
    if speed is None:
        peak = totals(simulate(chosen, catalogue).rows, {})
        busiest = max(1, peak.rate_peak_per_s, peak.attach_peak_per_s)
        speed = max(1, min(-(-length_s // WALL_S), PACE_PER_S // busiest))
        if for_s is None:
            length_s = min(length_s, WALL_S * speed)
            chosen = window(scenario, from_us, from_us + length_s * SECOND_US)
    if length_s > WALL_MAX_S * speed:
        values = {"for_s": length_s, "speed": speed, "most": WALL_MAX_S}
        raise InputError([Problem(code="VPG1942", values=values)])
    return Course(scenario=chosen, speed=speed)


def run_twin(
    chosen: Course,
    catalogue: Catalogue,
    words: Sequence[str],
    *,
    mqtt: tuple[str, ...] = (),
    stop: Callable[[], bool] = lambda: False,
) -> Twin:
    """Run both sides; ``words``: the options that make ``vpg serve`` serve the same VPGs."""
    scenario, speed = chosen.scenario, chosen.speed
    carried(scenario, mqtt)
    simulated = simulate(scenario, catalogue)
    begin_us = scenario.start_us - LEAD_S * speed * SECOND_US
    told = ("--no-implicit-attach", "--time-scale", str(speed), "--start", iso_utc(begin_us))
    with served((*words, *told), stop) as service:
        target = target_of(
            f"{name}={url}" for name, url in service.urls.items() if name != "unified"
        )
        live = run_fleet(
            scenario,
            catalogue,
            target,
            FleetOptions(speed=speed, mqtt=mqtt, at_rest=False),
            stop=stop,
        )
    return compared(scenario, simulated, live)


def compared(scenario: Scenario, simulated: RunResult, live: FleetRun) -> Twin:
    """Return both sides with their figures."""
    there = totals(simulated.rows, simulated.delays)
    here = totals(live.result.rows, live.result.delays)
    return Twin(
        scenario=scenario,
        simulated=simulated,
        live=live,
        figures=tuple(_figures(there, here, live)),
        speed=live.speed,
    )


def _figures(there: Totals, here: Totals, live: FleetRun) -> list[Figure]:
    accepted = _sum(there, "accepted"), _sum(here, "accepted")
    wall_us = DELAY_WALL_US * live.speed
    p50_us = there.delay_us_p50
    figures = [
        Figure(
            name="accepted",
            kind="count",
            simulated=accepted[0],
            live=accepted[1],
            tolerance=accepted[0] * ACCEPTED_PPM // MILLION,
        ),
        Figure(
            name="throttled",
            kind="share_ppm",
            simulated=_share(_sum(there, "throttled"), _sum(there, "attempts")),
            live=_share(_sum(here, "throttled"), _sum(here, "attempts")),
            tolerance=POINTS_PPM,
        ),
        Figure(
            name="refused",
            kind="share_ppm",
            simulated=_share(there.sessions_refused, there.attach_attempts),
            live=_share(here.sessions_refused, here.attach_attempts),
            tolerance=POINTS_PPM,
        ),
        Figure(
            name="delay_p50",
            kind="delay_us",
            simulated=p50_us,
            live=here.delay_us_p50,
            tolerance=max(p50_us * DELAY_PPM // MILLION, wall_us),
        ),
    ]
    # The payload of each message is a draw that both sides share: what the store has must be the
    # sum over the very messages whose devices were told that they are accepted.
    for name in ("bytes_up", "bytes_down"):
        drawn = next(one for one in live.agreements if one.figure == name)
        figures.append(
            Figure(
                name=name,
                kind="bytes",
                simulated=drawn.devices,
                live=drawn.stored,
                tolerance=drawn.unknown,
            )
        )
    return figures


def _sum(row: Totals, what: str) -> int:
    return sum(int(getattr(row, f"{what}_{service}")) for service in SERVICES)


def _share(part: int, whole: int) -> int:
    return part * MILLION // whole if whole else 0
