"""Which systems are checked, each with its law: the short form and the long one.

Owns: the list, its sizes and its seeds. Does not own: laws (``sim.theory``), how a system is set up
(``systems``) or judged (``judge``). One limited request takes a second in most of them, so an hour
of one system is thousands of its service times.

Symbols, as in textbooks: ρ load, K places (the one in service too), b burst, c servers (the line
cap), N lines, a offered Erlang.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sim import theory
from sim.engine_check import measures, systems
from sim.engine_check.limits import small_catalogue
from vpg.timebase import HOUR_US, SECOND_US

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scenarios.model import Limiter, Scenario
    from sim.engine_check.measures import Measure
    from sim.engine_check.systems import Holding
    from vpg.catalogue.model import Catalogue
    from vpg.laws import LawFigure

RATE_PER_S = 1
SERVICE_US = SECOND_US // RATE_PER_S
_MEAN_STAY_US = 10 * SECOND_US
_MILLI = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a system."""

    name: LawFigure
    theory: float
    measure: Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One system: how to run it and what must come out."""

    law: str
    setting: str
    scenario: Callable[[int], Scenario]
    """From a seed."""
    figures: tuple[Figure, ...]
    arrivals: str
    """Column of the hourly table that counts what was measured."""
    rate_per_s: int = RATE_PER_S
    lines_max: int = 1_000
    exact: bool = False
    """No chance in it: one run, and its figures are those of theory."""

    @property
    def catalogue(self) -> Catalogue:
        """The limits it runs under, read as a user's own table."""
        return small_catalogue(lines_max=self.lines_max, rate_per_s=self.rate_per_s)

    def seed(self, study: int) -> int:
        """Return the seed of a study: no two cases share their luck, whatever their order."""
        return zlib.crc32(f"{self.law} {self.setting}".encode()) * 1_000 + study


def cases(*, long: bool) -> tuple[Case, ...]:
    """Return every system of the short or the long form, in order."""
    return (*_even(), *_single_servers(long=long), *_buckets(long=long), *_line_caps(long=long))


# ---- D/D/1 ---------------------------------------------------------------------------------------


def _even() -> Iterator[Case]:
    """Yield evenly spaced streams: under the rate, above it, and queueing above it."""
    yield _even_case(
        "ρ = 0.8",
        systems.queue(),
        SECOND_US * 5 // 4,
        "waiting_percent",
        0,
        measures.waiting_percent,
    )
    # The bucket of 5 is full at the first of them, and half a request is refilled in each gap.
    arrivals = HOUR_US // (SECOND_US // 2)
    admitted = 5 + (arrivals - 1) // 2
    yield _even_case(
        "ρ = 2, b = 5",
        systems.refuse(burst=5),
        SECOND_US // 2,
        "refused_count",
        arrivals - admitted,
        measures.throttled_count,
    )
    # One goes at once and then one a second; the run ends before the one due at its last instant.
    gone = HOUR_US // SECOND_US
    yield _even_case(
        "ρ = 2", systems.queue(), SECOND_US // 2, "open_count", arrivals - gone, measures.open_count
    )


def _even_case(  # noqa: PLR0917 - a row of a table
    setting: str,
    limiter: Limiter,
    gap_us: int,
    name: LawFigure,
    exactly: int,
    measure: Measure,
) -> Case:
    lines = systems.SERVER_LINES
    scenario = systems.even_stream(every_us=gap_us * lines, lines=lines, limiter=limiter)
    return Case(
        law="D/D/1",
        setting=setting,
        scenario=lambda _seed: scenario,
        figures=(Figure(name=name, theory=exactly, measure=measure),),
        arrivals="messages_offered",
        exact=True,
    )


# ---- one server ----------------------------------------------------------------------------------


def _poisson_case(
    law: str, setting: str, load: float, limiter: Limiter, *figures: Figure, hours: int
) -> Case:
    stream = partial(
        systems.poisson_stream,
        per_s=load * RATE_PER_S,
        limiter=limiter,
        measured_us=hours * HOUR_US,
    )
    return Case(
        law=law,
        setting=setting,
        scenario=lambda seed: stream(seed=seed),
        figures=figures,
        arrivals="messages_offered",
    )


def _wait(expected_us: float) -> Figure:
    return Figure(name="mean_wait_ms", theory=expected_us / _MILLI, measure=measures.mean_wait_ms)


def _loss(share: float) -> Figure:
    return Figure(name="refused_percent", theory=100 * share, measure=measures.throttled_percent)


def _waiting(share: float) -> Figure:
    return Figure(name="waiting_percent", theory=100 * share, measure=measures.waiting_percent)


def _single_servers(*, long: bool) -> Iterator[Case]:
    """Yield the limiter that queues with burst 1, without and with a bound on who waits."""
    hours = 2 if long else 1
    for load in (0.3, 0.5, 0.7, 0.8) if long else (0.5, 0.8):
        yield _poisson_case(
            "M/D/1",
            f"ρ = {load:g}",
            load,
            systems.queue(),
            _wait(theory.md1_wait_us(load * RATE_PER_S, SERVICE_US)),
            _waiting(load),
            hours=hours,
        )
    for load, places in ((0.8, 2), (0.9, 4), (1.0, 10), (1.5, 4)) if long else ((0.9, 4),):
        yield _poisson_case(
            "M/D/1/K",
            f"ρ = {load:g}, K = {places}",
            load,
            systems.queue(waiting_max=places - 1),
            _loss(theory.md1k_loss(places, load)),
            _wait(theory.md1k_wait_us(places, load * RATE_PER_S, SERVICE_US)),
            hours=hours,
        )


def _buckets(*, long: bool) -> Iterator[Case]:
    """Yield the limiter that refuses with burst 1 (Erlang's B of one server), and larger buckets.

    A refusing one bounds the work by its burst; a queueing one lets b - 1 services pass at once.
    """
    hours = 2 if long else 1
    for load in (0.5, 1.0, 2.0) if long else (0.5, 2.0):
        yield _poisson_case(
            "M/D/1/1",
            f"ρ = {load:g}",
            load,
            systems.refuse(),
            _loss(theory.erlang_b(1, load)),
            hours=hours,
        )
    for load, burst in ((0.8, 3), (0.9, 5), (1.0, 10), (1.5, 5)) if long else ((0.9, 5),):
        yield _poisson_case(
            "M/D/1, work ≤ b",
            f"ρ = {load:g}, b = {burst}",
            load,
            systems.refuse(burst=burst),
            _loss(theory.bucket_refused_share(burst, load)),
            hours=hours,
        )
    for load, burst in ((0.6, 2), (0.8, 3), (0.8, 5)) if long else ((0.8, 3),):
        share = theory.bucket_waiting_share(burst, load * RATE_PER_S, SERVICE_US)
        yield _poisson_case(
            "M/D/1, b − 1 free",
            f"ρ = {load:g}, b = {burst}",
            load,
            systems.queue(burst=burst),
            _waiting(share),
            hours=hours,
        )


# ---- the line cap --------------------------------------------------------------------------------


def _line_caps(*, long: bool) -> Iterator[Case]:
    """Yield the line cap with a large fleet and with small ones; lengths of two shapes.

    The laws hold for any shape of the same mean (insensitivity): M and D must agree.
    """
    shapes: tuple[Holding, ...] = ("exponential", "fixed")
    for offered, cap, lines in ((3.0, 5, 500), (7.0, 10, 1_000)) if long else ((3.0, 5, 500),):
        blocking = theory.erlang_b(cap, offered)
        # So many idle lines, on the average, offer what Erlang's endless fleet does; what is left
        # of the difference is 0.1 % of the blocking for a cap of 5 and 0.2 % for one of 10.
        idle = lines - 1 - offered * (1 - blocking)
        for holding in shapes if long else shapes[:1]:
            yield _cap_case(
                f"Erlang B, M/{_letter(holding)}/c/c",
                f"c = {cap}, a = {offered:g}, N = {lines}",
                lines,
                cap,
                offered / idle,
                holding,
                blocking,
                hours=2 if long else 1,
            )
    for offered, cap, lines in ((4.0, 5, 10), (8.0, 10, 40)) if long else ((4.0, 5, 10),):
        for holding in shapes:
            per_idle_line = offered / lines
            yield _cap_case(
                f"Engset, M/{_letter(holding)}/c/c/N",
                f"c = {cap}, N = {lines}, a/N = {per_idle_line:g}",
                lines,
                cap,
                per_idle_line,
                holding,
                theory.engset_blocking(cap, lines, per_idle_line),
                hours=2 if long else 1,
            )


def _letter(holding: Holding) -> str:
    return "M" if holding == "exponential" else "D"


def _cap_case(  # noqa: PLR0917 - a row of a table
    law: str,
    setting: str,
    lines: int,
    cap: int,
    erlang_per_idle_line: float,
    holding: Holding,
    refused_share: float,
    *,
    hours: int,
) -> Case:
    fleet = partial(
        systems.line_cap,
        lines=lines,
        attempts_per_idle_line_per_s=erlang_per_idle_line * SECOND_US / _MEAN_STAY_US,
        holding=holding,
        mean_us=_MEAN_STAY_US,
        measured_us=hours * HOUR_US,
    )
    figure = Figure(
        name="refused_percent", theory=100 * refused_share, measure=measures.refused_percent
    )
    return Case(
        law=law,
        setting=setting,
        scenario=lambda seed: fleet(seed=seed),
        figures=(figure,),
        arrivals="attach_attempts",
        rate_per_s=1_000,
        lines_max=cap,
    )
