"""The same scenario through the simulator and through the live service: the same hourly table.

The devices are the simulator's in both runs. In one they ask the simulator's gateways, in the other
the service's, in simulated time, and every event goes through the wire format and the store. All
columns but ``delay_*`` must be equal, cell by cell.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import pytest

from scenarios import model
from scenarios.loader import load_scenario
from scenarios.model import MirrorPeer, Payload, RetryPolicy, Session, Upstream
from sim.run import simulate
from tests.support import ROOT
from tests.support_random import any_case, plain_case
from tests.support_scenarios import catalogue
from tests.support_service_twin import COMPARED, compare, possible
from tests.support_service_twin_http import HttpTransport
from tests.support_sim import (
    at,
    every,
    fixed,
    fleet,
    limits,
    poisson,
    scenario,
    sec,
    small_limits,
    vpg,
)
from vpg.rating.hourly import NAMES
from vpg.service.gateway.limits import LiveLimiter
from vpg.service.gateway.path import Mirror
from vpg.service.gateway.seconds import Seconds
from vpg.service.gateway.sessions import SessionBook
from vpg.service.gateway.vpg import LiveVpg
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue
    from vpg.results import RunResult

NOTHING = Payload()
READY = {
    "smallest": 1.0,
    "alarm-storm": 2.0,
    "junction-slow-peer": 1.75,
    "mass-reconnect": 1.25,
    "smart-meters": 1.0,
    "taxi-payments": 2.0,
}
"""Shipped scenario → the hours of it that are compared, with its fault or burst."""


def ready(name: str, hours: float) -> Scenario:
    """Return the first ``hours`` of a shipped scenario."""
    whole = load_scenario(ROOT / "scenarios" / "ready" / f"{name}.yaml", catalogue=catalogue())
    end_us = min(whole.end_us, whole.start_us + int(hours * HOUR_US))
    events = tuple(event for event in whole.events if event.at_us < end_us)
    return dataclasses.replace(whole, end_us=end_us, events=events)


def test_no_column_is_left_out_but_delays() -> None:
    assert set(NAMES) - set(COMPARED) == {"delay_us_p50", "delay_us_p99", "delay_us_max"}


@pytest.mark.parametrize("name", READY)
def test_shipped_scenarios_are_served_as_simulated(name: str) -> None:
    found = compare(ready(name, READY[name]), catalogue())
    assert found.differences == []
    accepted = sum(row.accepted_beam + row.accepted_funnel for row in found.simulated.rows)
    assert accepted > 0


def _agree(case: tuple[Scenario, Catalogue]) -> None:
    found = compare(possible(case[0]), case[1])
    assert found.differences == []
    if case[0].assumptions.a17_ghosts == "replaced":
        held = [
            (session.line.entry.sim_id, session.ghost)
            for one in found.link.core.vpgs
            for session in one.book.holders
        ]
        assert found.kept == sorted(held)


@pytest.mark.parametrize("first", range(0, 9, 3))
def test_random_scenarios_are_served_as_simulated(first: int) -> None:
    for seed in range(first, first + 3):
        _agree(plain_case(seed))


@pytest.mark.parametrize("first", range(0, 30, 5))
def test_random_scenarios_of_every_feature_are_served_as_simulated(first: int) -> None:
    for seed in range(first, first + 5):
        _agree(any_case(seed))


@pytest.mark.long
@pytest.mark.parametrize("first", range(30, 2_030, 20))
def test_many_random_scenarios_of_every_feature(first: int) -> None:
    for seed in range(first, first + 20):
        _agree(any_case(seed))


@pytest.mark.long
@pytest.mark.parametrize("name", READY)
def test_whole_shipped_scenarios(name: str) -> None:
    assert compare(ready(name, 12), catalogue()).differences == []


# ---- changes by administrators -------------------------------------------------------------------


def rich(**assumptions: Any) -> tuple[Scenario, Catalogue]:
    """Return a scenario in which everything happens that the service has to find by itself."""
    gate = vpg(
        "v",
        type="D",
        mirroring=True,
        inspection=True,
        mirror_peers=(MirrorPeer(ip="10.0.0.1", capacity_bytes_per_s=300, loss_ppm=100_000),),
        upstream=Upstream(delay_us=sec(0.2), failure_ppm=50_000),
    )
    coming = fleet(
        "coming",
        poisson(20, "rare"),
        lines=6,
        vpg_id="v",
        session=Session(attach="on_report"),
        attach_retry=fixed(20, 4),
        retry=fixed(5, 3),
    )
    staying = fleet(
        "staying",
        every(7, "often"),
        lines=4,
        vpg_id="v",
        session=Session(attach="at_start", notice_us=sec(3)),
        attach_retry=RetryPolicy(name="custom", steps=((sec(10), 1),), jitter_ppm=500_000),
        retry=fixed(2, 5, retry_after=True),
    )
    # Comes at the very instant of the idle timeout: too late.
    punctual = fleet("punctual", every(120, "slow"), lines=1, vpg_id="v")
    events: tuple[model.Event, ...] = (
        model.PowerCut(at_us=at(500), until_us=at(900.5), fleets=("coming",)),
        model.ConnectionChange(at_us=at(700), vpg_id="v", kind="vpn", change=2),
        model.ForcedCut(at_us=at(1000), fleets=("staying",)),
        model.Recreate(at_us=at(1500.25), vpg_id="v", type="D", size="medium"),
        model.FeatureSwitch(at_us=at(1500.25), vpg_id="v", feature="inspection", value=0),
        model.ConnectionChange(at_us=at(1800), vpg_id="v", kind="vpn", change=-1),
        model.FeatureSwitch(at_us=at(2000), vpg_id="v", feature="fixed_ip", value=2),
        model.Recreate(at_us=at(3600), vpg_id="v", type="C", size="small"),
        model.FeatureSwitch(at_us=at(3700), vpg_id="v", feature="mirroring", value=0),
        model.FeatureSwitch(at_us=at(4000), vpg_id="v", feature="inspection", value=1),
        model.ForcedCut(at_us=at(4500), fleets=("staying", "coming")),
        model.Recreate(at_us=at(4500), vpg_id="v", type="C", size="medium"),
    )
    given = {"a16_idle_timeout_us": sec(120), "a28_cut_after_us": sec(1_700)} | assumptions
    what = scenario(
        coming, staying, punctual, vpgs=(gate,), events=events, end_us=at(7_000), seed=5, **given
    )
    return what, small_limits(7, 1)


@functools.cache
def _rich_simulated() -> RunResult:
    return simulate(*rich(), engine="reference")


@pytest.mark.parametrize("size_change", ["recreate_with_fee", "in_place_free"])
@pytest.mark.parametrize("above", ["refuse", "accept_and_flag", "evict_longest_idle"])
def test_changes_by_administrators_are_billed_as_simulated(size_change: str, above: str) -> None:
    what, small = rich(a13_size_change=size_change, a02_above_line_cap=above)
    found = compare(what, small)
    assert found.differences == []
    rows = found.simulated.rows
    assert {row.config_seq for row in rows} == {0, 1, 2, 3}
    for column in ("bytes_mirrored", "mirror_dropped", "lines_inspected", "throttled_beam"):
        assert sum(getattr(row, column) for row in rows) > 0, column
    assert found.link.kinds >= {"config.v1", "mirror.v1", "session.modified.v1", "message.v1"}


def test_what_is_cut_at_the_instant_of_a_change_belongs_to_the_old_row() -> None:
    rows = [row for row in compare(*rich()).simulated.rows if row.config_seq >= 2]
    assert rows[-1].config_seq == 3
    assert rows[-2].sessions_deleted > 0


def test_limits_that_the_catalogue_changes_hold_from_their_day_on() -> None:
    # The shipped limits end and begin where these do: in the middle of the run, in JST.
    talkers = fleet("talkers", every(4, "often"), lines=12, vpg_id="v", retry=fixed(3, 2))
    what = scenario(talkers, vpgs=(vpg("v"),), hours=2, seed=3)
    day_us = at(3600 + 0.5 * 3600)
    table = limits(lines_max_c_small=4, rate_per_s_c_small=3)
    later = limits(lines_max_c_small=3, rate_per_s_c_small=1)

    class Changing:
        """The one table before ``day_us``, the other from then on."""

        def __getattr__(self, name: str) -> Any:
            return getattr(table, name)

        def limits(self, vpg_type: str, size: str, at_us: int) -> Any:
            return (table if at_us < day_us else later).limits(vpg_type, size, at_us)

        def limit_changes(self, begin_us: int, end_us: int) -> tuple[int, ...]:
            return (day_us,) if begin_us < day_us < end_us else ()

    changing: Any = Changing()
    found = compare(what, changing)
    assert found.differences == []
    first, second = found.simulated.rows
    assert second.accepted_beam < first.accepted_beam


# ---- over HTTP -----------------------------------------------------------------------------------


def over_http() -> tuple[Scenario, Catalogue]:
    """Return a scenario that needs no real waiting, with everything that HTTP can tell."""
    gate = vpg(
        "gate",
        type="D",
        contract_fee=True,
        inspection=True,
        upstream=Upstream(),
        created_at_us=at(60),
    )
    callers = fleet(
        "callers",
        poisson(40, "call"),
        poisson(20, "report", service="funnel", down=NOTHING),
        lines=5,
        vpg_id="gate",
        session=Session(attach="on_report", notice_us=sec(7)),
        attach_retry=fixed(20, 4),
        retry=fixed(3, 4, retry_after=True),
    )
    steady = fleet(
        "steady",
        poisson(300, "beat", service="funk", down=NOTHING),
        lines=3,
        vpg_id="gate",
        session=Session(attach="at_start"),
        attach_retry=fixed(11),
        retry=fixed(1, 3),
    )
    events: tuple[model.Event, ...] = (
        model.PowerCut(at_us=at(700), until_us=at(1_000.5), fleets=("callers",)),
        model.ForcedCut(at_us=at(1_200), fleets=("steady",)),
        model.ConnectionChange(at_us=at(1_300), vpg_id="gate", kind="vpn", change=2),
        model.LineChange(
            at_us=at(1_400), fleet="steady", first_line=0, lines=1, status="suspended"
        ),
        model.Recreate(at_us=at(1_500.25), vpg_id="gate", type="D", size="medium"),
        model.FeatureSwitch(at_us=at(1_600), vpg_id="gate", feature="inspection", value=0),
        model.ConnectionChange(at_us=at(1_800), vpg_id="gate", kind="vpn", change=-1),
        model.LineChange(at_us=at(2_000), fleet="steady", first_line=0, lines=1, status="active"),
        model.FeatureSwitch(at_us=at(2_100), vpg_id="gate", feature="fixed_ip", value=2),
        model.Growth(at_us=at(2_200), fleet="steady", lines=1),
        model.Recreate(at_us=at(3_600), vpg_id="gate", type="C", size="small"),
    )
    what = scenario(
        callers,
        steady,
        vpgs=(dataclasses.replace(gate, deleted_at_us=at(8_000)),),
        events=events,
        end_us=at(9_000),
        seed=8,
        a16_idle_timeout_us=sec(60),
        a28_cut_after_us=sec(900),
    )
    return what, small_limits(6, 1)


@pytest.mark.parametrize("above", ["refuse", pytest.param("reset", marks=pytest.mark.long)])
def test_a_scenario_over_http_is_served_as_simulated(above: Any) -> None:
    what, small = over_http()
    assumptions = dataclasses.replace(what.assumptions, a03_above_rate=above)
    found = compare(dataclasses.replace(what, assumptions=assumptions), small, make=HttpTransport)
    assert found.differences == []
    rows = found.simulated.rows
    for column in ("throttled_funk", "no_session_funk", "sessions_refused", "ghosts_peak"):
        assert sum(getattr(row, column) for row in rows) > 0, column


# ---- the comparison can fail ---------------------------------------------------------------------


def _forget(target: Any, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(target, name, lambda *_, **__: None)


def _idle_too_late(patch: pytest.MonkeyPatch) -> None:
    due_us = SessionBook.due_us
    patch.setattr(SessionBook, "due_us", lambda self, session: due_us(self, session) + 1)


def _row_begins_late(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LiveVpg, "_row_is_fresh", lambda *_: True)


WRONG: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "sessions never run out": _forget(SessionBook, "expire"),
    "sessions run out a microsecond late": _idle_too_late,
    "a resize keeps tokens and rate": _forget(LiveLimiter, "resize"),
    "a resize keeps the sessions": _forget(SessionBook, "end_all"),
    "refusals are not told": _forget(Seconds, "flush"),
    "lines are not inspected": _forget(LiveVpg, "_inspect"),
    "a change does not end the row before": _row_begins_late,
    "copies are never made": lambda patch: patch.setattr(Mirror, "copy", lambda *_: []),
    "ghosts are not told": lambda patch: patch.setattr(LiveVpg, "lost", lambda *_: False),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_service_that_does_something_else_is_found(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, small = rich()
    WRONG[how](monkeypatch)
    try:
        wrong = compare(what, small, simulated=_rich_simulated()).differences
    except AssertionError as error:
        wrong = [(str(error),)]
    assert wrong
