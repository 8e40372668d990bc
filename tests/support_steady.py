"""Random scenarios that are steady most of the time, and near their limits: what is counted first.

A pure function of a seed, like ``support_random``, whose hostile little fleets are rarely steady
for long. Phases are often on the clock and jitter is often short, because ties are where order goes
wrong; limits are near the load, so that some bins are calm, some contended. No test lives here.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from scenarios import model
from scenarios.model import Limiter, MirrorPeer, Payload, Ramp, RetryPolicy, Session
from tests.support_random import SERVICES
from tests.support_sim import (
    NEVER,
    START_US,
    at,
    every,
    fixed,
    fleet,
    scenario,
    sec,
    small_limits,
    vpg,
)

if TYPE_CHECKING:
    from scenarios.model import Event, Fleet, Source, Vpg
    from tests.support_random import Case

PEER = "10.0.0.0"


def steady_case(seed: int) -> Case:
    """Return a scenario of periodic fleets, with an event now and then."""
    dice = random.Random(f"steady {seed}")
    rate = dice.choice([1, 2, 5, 20])
    vpgs = tuple(_vpg(dice, f"v{i}") for i in range(dice.choice([1, 1, 2])))
    fleets = tuple(
        _fleet(dice, f"f{i}", dice.choice(vpgs).id, rate) for i in range(dice.choice([1, 2, 3]))
    )
    events = [_event(dice, vpgs, fleets) for _ in range(dice.choice([0, 0, 1, 3]))]
    what = scenario(
        *fleets,
        vpgs=vpgs,
        events=tuple(events),
        seed=seed,
        start_us=START_US + dice.choice([0, 0, sec(1234.567891)]),
        end_us=at(dice.choice([1800, 5400.25, 7200])),
        a03_above_rate=dice.choice(["refuse", "refuse", "refuse", "reset", "accept_and_flag"]),
        a05_rate_shared=dice.choice(["shared", "shared", "each"]),
        a06_beam_legs=dice.choice(["device", "device", "both"]),
        a16_idle_timeout_us=_idle_us(dice, fleets),
        a28_cut_after_us=dice.choice([None, None, None, sec(3000)]),
        a35_mirror_throttled=dice.random() < 0.5,
    )
    return what, small_limits(dice.choice([1000, 1000, 20]), rate)


def _idle_us(dice: random.Random, fleets: tuple[Fleet, ...]) -> int:
    """Return an idle timeout: none, plain, or to the microsecond around some source's interval."""
    sources = [source for one in fleets for source in one.traffic]
    ticking = [source for source in sources if isinstance(source, model.Periodic)]
    if not ticking or dice.random() < 0.7:
        return sec(dice.choice([0, 70, 700, 3600]))
    source = dice.choice(ticking)
    return max(1, source.every_us + source.jitter_us + dice.choice([-1, 0, 1]))


def _policy(dice: random.Random) -> RetryPolicy:
    steps = dice.choice([((1, 1), (2, 1), (4, 1), (8, 1)), ((0, 3), (30, 2)), ((0.01, 9),)])
    stepped = RetryPolicy(
        name="custom",
        steps=tuple((sec(delay_s), count) for delay_s, count in steps),
        cycle=dice.random() < 0.5,
        jitter_ppm=dice.choice([0, 0, 500_000, 1_000_000]),
        tries_max=dice.choice([1, 5, 9]),
        deadline_us=dice.choice([None, None, sec(30)]),
        retry_after=dice.random() < 0.5,
    )
    return dice.choice([NEVER, fixed(dice.choice([1, 7, 60]), dice.choice([1, 3])), stepped])


def _vpg(dice: random.Random, name: str) -> Vpg:
    peers = (MirrorPeer(ip=PEER), MirrorPeer(ip="10.0.0.1", enabled=dice.random() < 0.5))
    return vpg(
        name,
        created_at_us=at(dice.choice([0, 0, 0, 1800])),
        limiter=Limiter(
            kind=dice.choice(["token_bucket", "token_bucket", "fixed_window"]),
            burst_requests=dice.choice([None, None, 1, 3, 40]),
        ),
        mirroring=dice.random() < 0.4,
        mirror_peers=peers,
        inspection=dice.random() < 0.3,
        message_overhead_bytes=dice.choice([0, 200]),
    )


def _fleet(dice: random.Random, name: str, vpg_id: str, rate: int) -> Fleet:
    lines = dice.choice([1, 7, 40, 150])
    sources = [_source(dice, str(k), lines, rate) for k in range(dice.choice([1, 1, 2, 3]))]
    attach: Any = dice.choice(["at_start", "at_start", "on_report"])
    status: Any = dice.choice(["active"] * 6 + ["suspended", "standby"])
    over_us = sec(dice.choice([0, 0, 10, 300]))
    return fleet(
        name,
        *sources,
        lines=lines,
        vpg_id=vpg_id,
        status=status,
        session=Session(
            attach=attach,
            ramp=Ramp(shape="uniform", over_us=over_us),
            notice_us=dice.choice([None, 0, sec(20)]),
            reattach_every_us=dice.choice([None, None, None, sec(1500)]),
        ),
        attach_retry=fixed(30),
        retry=_policy(dice),
    )


def _source(dice: random.Random, name: str, lines: int, rate: int) -> Source:
    base: dict[str, Any] = {
        "service": dice.choice(SERVICES),
        "up": Payload(low_bytes=dice.choice([0, 10, 1461]), high_bytes=10),
        "down": Payload(low_bytes=5, high_bytes=5),
        "share_ppm": dice.choice([1_000_000, 1_000_000, 500_000]),
    }
    if dice.random() < 0.2:
        return model.Reporting(name=f"r{name}", intervals=((sec(60), 1), (sec(1800), 3)), **base)
    # From a third of the limit to twice it.
    every_s = max(1, lines * 3 // rate // dice.choice([1, 2, 4, 6]))
    jitter_us = dice.choice([0, 1, sec(0.5), sec(every_s) // 3, sec(every_s)])
    phase: Any = dice.choice(["even", "uniform", "clock"])
    return every(every_s, f"p{name}", jitter_us=jitter_us, **base | {"phase": phase})


def _event(dice: random.Random, vpgs: tuple[Vpg, ...], fleets: tuple[Fleet, ...]) -> Event:
    at_us = at(dice.choice([1800, 1860.5, 2400, 3600, 4000.000001]))
    until_us = at_us + sec(dice.choice([1, 90, 1200]))
    names = tuple(one.name for one in fleets)
    share = dice.choice([1_000_000, 300_000])
    ramp = Ramp(shape="uniform", over_us=sec(dice.choice([0, 20])))
    span = {"at_us": at_us, "until_us": until_us}
    one = vpgs[0].id
    return dice.choice(
        (
            model.CarrierOutage(
                **span, fleets=names, share_ppm=share, sessions="cut", release=ramp
            ),
            model.PowerCut(**span, fleets=names, share_ppm=share, release=ramp),
            model.ForcedCut(at_us=at_us, fleets=names, share_ppm=share),
            model.Recreate(at_us=at_us, vpg_id=one, type="C", size="medium"),
            model.FeatureSwitch(at_us=at_us, vpg_id=one, feature="mirroring", value=1),
            model.FeatureSwitch(at_us=at_us, vpg_id=one, feature="inspection", value=1),
            model.MirrorPeerFault(**span, vpg_id=one, ip=PEER),
            model.UpstreamFault(**span, vpg_id=one, services=("beam",), mode="down", delay_us=0),
            model.LineChange(
                at_us=at_us, fleet=names[0], first_line=0, lines=1, status="suspended"
            ),
            model.Growth(at_us=at_us, fleet=names[0], lines=5),
        )
    )
