"""Random scenarios for tests of the simulator: small, hostile, a pure function of a seed.

``plain_case`` stays within what ``tests/validation/oracle.py`` knows; ``any_case`` uses every
feature. Instants are often the same round ones, hours included, because ties are where order goes
wrong. No test lives here.
"""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING, Any, Literal

from scenarios import model
from scenarios.model import Limiter, MirrorPeer, Payload, Ramp, RetryPolicy, Session, Upstream
from tests.support_sim import (
    FIVE,
    NEVER,
    START_US,
    TEN,
    at,
    every,
    fixed,
    fleet,
    poisson,
    scenario,
    sec,
    small_limits,
    trace,
    vpg,
)
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.model import Event, Fleet, Scenario, Source, Vpg
    from vpg.catalogue.model import Catalogue

Case = tuple["Scenario", "Catalogue"]
MOMENTS_S = (0, 1, 600, 1800, 3599.999999, 3600, 3600.5, 4000, 5400)
LENGTHS_S = (1, 60, 900, 1800, 3600)
SERVICES: tuple[Any, ...] = ("beam", "funnel", "funk", "ip")


def _policy(dice: random.Random) -> RetryPolicy:
    stepped = RetryPolicy(
        name="custom",
        steps=((sec(1), 2), (sec(5), 1)),
        cycle=dice.random() < 0.5,
        jitter_ppm=dice.choice([0, 500_000]),
        tries_max=dice.choice([2, 9]),
        deadline_us=dice.choice([None, sec(30)]),
        retry_after=dice.random() < 0.5,
    )
    steady = fixed(dice.choice([7, 30, 60]), dice.choice([None, 1, 3]))
    return dice.choice([NEVER, steady, stepped])


def _limiter(dice: random.Random) -> Limiter:
    return Limiter(
        kind=dice.choice(["token_bucket", "fixed_window"]),
        above=dice.choice(["reject", "queue"]),
        burst_requests=dice.choice([None, 1, 5]),
        queue_deadline_us=sec(dice.choice([1, 5, 30])),
        queue_requests_max=dice.choice([None, 0, 3]),
    )


def _fleet(dice: random.Random, name: str, vpg_id: str, sources: list[Source]) -> Fleet:
    return fleet(
        name,
        *sources,
        lines=dice.randint(1, 12),
        vpg_id=vpg_id,
        session=Session(
            attach=dice.choice(["at_start", "on_report"]),
            notice_us=dice.choice([None, 0, sec(20)]),
        ),
        attach_retry=_policy(dice),
        retry=_policy(dice),
        outstanding=dice.choice(["independent", "hold", "drop"]),
        buffer_messages=dice.choice([1, 3, 1000]),
    )


def _span(dice: random.Random) -> dict[str, Any]:
    begin_s = dice.choice(MOMENTS_S)
    return {"at_us": at(begin_s), "until_us": at(begin_s + dice.choice(LENGTHS_S))}


# ---- what the oracle knows -----------------------------------------------------------------------


def plain_case(seed: int) -> Case:
    """Return a scenario within what the oracle knows."""
    dice = random.Random(seed)
    vpgs = tuple(
        vpg(
            f"v{i}",
            limiter=_limiter(dice),
            upstream=Upstream(delay_us=sec(dice.choice([0, 0.3, 3]))),
        )
        for i in range(dice.choice([1, 2]))
    )
    fleets = []
    for i in range(dice.choice([1, 2, 3])):
        sources = [_plain_source(dice, str(k)) for k in range(dice.choice([1, 2]))]
        fleets.append(_fleet(dice, f"f{i}", dice.choice(vpgs).id, sources))
    names = tuple(one.name for one in fleets)
    events = tuple(_plain_event(dice, names) for _ in range(dice.choice([0, 1, 2])))
    idle_us = sec(dice.choice([0, 120, 300, 3600]))
    what = scenario(
        *fleets, vpgs=vpgs, events=events, hours=2, seed=seed, a16_idle_timeout_us=idle_us
    )
    return what, small_limits(dice.choice([1, 3, 8, 30]), dice.choice([1, 2]))


def _plain_source(dice: random.Random, name: str) -> Source:
    service = dice.choice(SERVICES)
    phase = dice.choice(["even", "uniform", "clock"])
    if dice.random() < 0.5:
        return every(dice.choice([10, 30, 600, 900]), f"p{name}", service=service, phase=phase)
    return poisson(dice.choice([1, 30, 200]), f"q{name}", service=service)


def _plain_event(dice: random.Random, names: tuple[str, ...]) -> Event:
    hit = tuple(dice.sample(names, dice.randint(1, len(names))))
    span = _span(dice)
    kept: Literal["cut", "ghost"] = dice.choice(["cut", "ghost"])
    return dice.choice(
        (
            model.UpstreamFault(
                **span,
                vpg_id="v0",
                services=("beam", "ip"),
                mode=dice.choice(["down", "slow"]),
                delay_us=sec(dice.choice([1, 40])),
            ),
            model.ForcedCut(at_us=span["at_us"], fleets=hit),
            model.CarrierOutage(**span, fleets=hit, sessions=kept),
            model.PowerCut(**span, fleets=hit),
        )
    )


# ---- every feature -------------------------------------------------------------------------------


def any_case(seed: int) -> Case:
    """Return a scenario that may use every feature."""
    dice = random.Random(f"any {seed}")
    vpgs = tuple(_any_vpg(dice, f"v{i}") for i in range(dice.choice([1, 2, 3])))
    fleets = []
    for i in range(dice.choice([1, 2, 4])):
        sources = [_any_source(dice, str(k)) for k in range(dice.choice([0, 1, 2, 3]))]
        fleets.append(_any_fleet(dice, f"f{i}", dice.choice(vpgs).id, sources))
    events = [_any_event(dice, vpgs, fleets) for _ in range(dice.choice([0, 2, 5, 8]))]
    what = scenario(
        *fleets,
        vpgs=vpgs,
        events=tuple(event for event in events if event is not None),
        seed=seed,
        start_us=START_US + dice.choice([0, 0, sec(1234.567891)]),
        end_us=at(dice.choice([1800, 5400.25, 7200, 9000])),
        **_assumptions(dice),
    )
    return what, small_limits(dice.choice([1, 3, 8, 30]), dice.choice([1, 2, 5]))


def _assumptions(dice: random.Random) -> dict[str, Any]:
    return {
        "a01_line_cap": dice.choice(["sessions", "sessions", "assigned_sims"]),
        "a02_above_line_cap": dice.choice(["refuse", "accept_and_flag", "evict_longest_idle"]),
        "a03_above_rate": dice.choice(["refuse", "refuse", "reset", "accept_and_flag"]),
        "a05_rate_shared": dice.choice(["shared", "each"]),
        "a06_beam_legs": dice.choice(["device", "device", "both"]),
        "a13_size_change": dice.choice(["recreate_with_fee", "in_place_free"]),
        "a16_idle_timeout_us": sec(dice.choice([0, 120, 600, 3600])),
        "a17_ghosts": dice.choice(["replaced", "not_replaced"]),
        "a18_session_setup_per_s": dice.choice([None, None, 1, 3]),
        "a28_cut_after_us": dice.choice([None, None, sec(600), HOUR_US]),
        "a28_cut_after_bytes": dice.choice([None, None, 1, 100]),
        "a35_mirror_throttled": dice.random() < 0.5,
    }


def _any_vpg(dice: random.Random, name: str) -> Vpg:
    created_s = dice.choice([0, 0, 0, 1800, 3600])
    gone_s = dice.choice([None, None, created_s + 1200, created_s + 3600])
    peers = tuple(
        MirrorPeer(
            ip=f"10.0.0.{i}",
            enabled=dice.random() < 0.8,
            capacity_bytes_per_s=dice.choice([None, 100, 5000]),
            loss_ppm=dice.choice([0, 300_000]),
        )
        for i in range(dice.choice([0, 1, 2]))
    )
    return vpg(
        name,
        type=dice.choice(["C", "D"]),
        size=dice.choice(["small", "medium"]),
        created_at_us=at(created_s),
        deleted_at_us=None if gone_s is None else at(gone_s),
        limiter=_limiter(dice),
        mirroring=dice.random() < 0.5,
        mirror_peers=peers,
        redirection=dice.random() < 0.3,
        redirection_delay_us=dice.choice([0, 50_000]),
        inspection=dice.random() < 0.3,
        upstream=Upstream(
            delay_us=sec(dice.choice([0, 0.3, 3])),
            timeout_us=sec(dice.choice([2, 30])),
            failure_ppm=dice.choice([0, 100_000]),
        ),
        message_overhead_bytes=dice.choice([0, 200]),
        contract_fee=dice.random() < 0.5,
        peering=1,
    )


def _any_fleet(dice: random.Random, name: str, vpg_id: str, sources: list[Source]) -> Fleet:
    plain = _fleet(dice, name, vpg_id, sources)
    session = dataclasses.replace(
        plain.session,
        attach=dice.choice(["at_start", "on_report", "on_event"]),
        ramp=_ramp(dice),
        duration=dice.choice(["idle", "idle", "fixed", "exponential"]),
        duration_us=sec(dice.choice([30, 900])),
        reattach_every_us=dice.choice([None, None, sec(600)]),
    )
    status: Any = dice.choice(["active"] * 5 + ["inactive", "suspended", "standby"])
    return dataclasses.replace(plain, session=session, status=status)


def _ramp(dice: random.Random) -> Ramp:
    shape: Any = dice.choice(["at_once", "uniform", "beta34"])
    return Ramp(shape=shape, over_us=sec(dice.choice([0, 10, 1800])))


def _payload(dice: random.Random) -> Payload:
    return dice.choice(
        (
            TEN,
            FIVE,
            Payload(kind="uniform", low_bytes=0, high_bytes=3000),
            Payload(kind="pareto", low_bytes=20, high_bytes=200, shape_milli=2500),
            Payload(kind="choice", choices=((0, 1), (1460, 2), (1461, 1))),
        )
    )


def _any_source(dice: random.Random, name: str) -> Source:
    base: dict[str, Any] = {
        "service": dice.choice(SERVICES),
        "up": _payload(dice),
        "down": _payload(dice),
        "share_ppm": dice.choice([1_000_000, 1_000_000, 500_000]),
    }
    kind = dice.choice(["periodic", "poisson", "burst", "reporting", "demand", "trace"])
    if kind == "periodic":
        more = {"phase": dice.choice(["even", "uniform", "clock"])}
        jitter_us = sec(dice.choice([0, 5, 7200]))
        return every(dice.choice([10, 600, 900]), f"p{name}", jitter_us=jitter_us, **base | more)
    if kind == "poisson":
        return poisson(dice.choice([1, 30, 200]), f"q{name}", **base)
    if kind == "burst":
        return model.Burst(
            name=f"b{name}",
            at_us=at(dice.choice(MOMENTS_S)),
            over_us=sec(dice.choice([1, 60, 7200])),
            shape=dice.choice(["uniform", "beta34"]),
            repeat_us=dice.choice([None, sec(600)]),
            **base,
        )
    if kind == "reporting":
        return model.Reporting(name=f"r{name}", intervals=((sec(60), 1), (sec(1800), 3)), **base)
    if kind == "demand":
        begins_s = (600, 2400, 4200)
        return model.DemandCurve(
            name=f"d{name}",
            begins_us=tuple(at(begin) for begin in begins_s),
            ends_us=tuple(at(begin + 1800) for begin in begins_s),
            micro_messages=(5_000_000, 0, 40_500_000),
            **base,
        )
    messages = [(dice.choice(MOMENTS_S), dice.randrange(3)) for _ in range(8)]
    return trace(*messages, name=f"t{name}", service=base["service"])


def _any_event(dice: random.Random, vpgs: tuple[Vpg, ...], fleets: list[Fleet]) -> Event | None:
    one = dice.choice(vpgs)
    names = tuple(fleet.name for fleet in fleets)
    hit = tuple(dice.sample(names, dice.randint(1, len(names))))
    target = dice.choice(fleets)
    span = _span(dice)
    at_us = span["at_us"]
    share = dice.choice([1_000_000, 500_000])
    if at_us < one.created_at_us:
        return None
    makers: list[Callable[[], Event]] = [
        lambda: model.CarrierOutage(
            **span,
            fleets=hit,
            share_ppm=share,
            sessions=dice.choice(["cut", "ghost"]),
            release=_ramp(dice),
        ),
        lambda: model.PowerCut(**span, fleets=hit, share_ppm=share, release=_ramp(dice)),
        lambda: model.ForcedCut(at_us=at_us, fleets=hit, share_ppm=share),
        lambda: model.AttachLines(at_us=at_us, fleets=hit, share_ppm=share, ramp=_ramp(dice)),
        lambda: model.Recreate(
            at_us=at_us, vpg_id=one.id, type=one.type, size=dice.choice(["small", "large"])
        ),
        lambda: model.FeatureSwitch(
            at_us=at_us,
            vpg_id=one.id,
            feature=dice.choice(["mirroring", "redirection", "inspection", "fixed_ip"]),
            value=dice.choice([0, 1]),
        ),
        lambda: model.ConnectionChange(at_us=at_us, vpg_id=one.id, kind="vpn", change=1),
        lambda: model.UpstreamFault(
            **span,
            vpg_id=one.id,
            services=("beam", "funk"),
            mode=dice.choice(["down", "slow"]),
            delay_us=sec(dice.choice([1, 40])),
        ),
        lambda: model.MirrorPeerFault(**span, vpg_id=one.id, ip="10.0.0.0"),
        lambda: model.RedirectionFault(**span, vpg_id=one.id),
        lambda: model.LineChange(
            at_us=at_us,
            fleet=target.name,
            first_line=0,
            lines=dice.randint(1, target.lines),
            status=dice.choice(["active", "inactive", "suspended", "terminated"]),
        ),
        lambda: model.Growth(at_us=at_us, fleet=target.name, lines=dice.randint(1, 5)),
    ]
    return dice.choice(makers)()
