"""Cases of the simulator that can be worked out by hand: Junction and the hourly rows."""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from scenarios import model
from scenarios.model import MirrorPeer, Session
from sim.plane.gateway import Gateway
from tests.support_sim import (
    ON_REPORT,
    START_US,
    at,
    by_hour,
    delays_of,
    every,
    expected_delays,
    fleet,
    flows,
    limits,
    run,
    scenario,
    sec,
    sums,
    trace,
    vpg,
)
from vpg.catalogue.load import load_catalogue
from vpg.timebase import HOUR_US

# ---- Junction ------------------------------------------------------------------------------------


def test_mirrored_bytes_by_hand() -> None:
    # given: 1,461 bytes up and 5 down in packets of 1,460, 200 bytes of protocol each way
    peers = (MirrorPeer(ip="10.0.0.1"), MirrorPeer(ip="10.0.0.2"))
    own = vpg(mirroring=True, mirror_peers=peers, message_overhead_bytes=200)
    source = model.Trace(
        name="t", service="beam", up=model.Payload(), down=model.Payload(),
        times_us=(at(1),), lines=(0,), bytes_up=(1461,), bytes_down=(5,),
    )  # fmt: skip
    seen = flows(scenario(fleet("f", source), vpgs=(own,)))
    # then: up 1,661 + 2 packets x (40 + 24); down 205 + 1 x 64; to each of two peers
    assert seen["bytes_mirrored"] == 2 * (1661 + 2 * 64 + 205 + 64)
    assert (seen["bytes_up"], seen["bytes_down"]) == (1461, 5)
    assert seen["mirror_dropped"] == 0


@pytest.mark.parametrize(("counted", "copies"), [(True, 5), (False, 2)])
def test_throttled_requests_are_mirrored_or_not(counted: bool, copies: int) -> None:
    own = vpg(mirroring=True, mirror_peers=(MirrorPeer(ip="10.0.0.1"),))
    what = scenario(fleet("f", trace(*[(1, 0)] * 5)), vpgs=(own,), a35_mirror_throttled=counted)
    # two accepted: request and answer; three throttled: the request
    assert flows(what, rate=2)["bytes_mirrored"] == copies * (10 + 64) + 2 * (5 + 64)


def test_a_peer_takes_its_capacity_a_second_and_nothing_while_down() -> None:
    peer = MirrorPeer(ip="10.0.0.1", capacity_bytes_per_s=200)
    own = vpg(mirroring=True, mirror_peers=(peer,))
    fault = model.MirrorPeerFault(at_us=at(5), until_us=at(6), vpg_id="v", ip="10.0.0.1")
    what = scenario(fleet("f", trace((1, 0), (1, 0), (5, 0))), vpgs=(own,), events=(fault,))
    seen = flows(what)
    # 74 + 69 fit into 200; the next 74 and 69 do not; at 5 s two more are lost
    assert (seen["bytes_mirrored"], seen["mirror_dropped"]) == (74 + 69, 4)


def test_redirection_adds_its_path_and_its_outages() -> None:
    own = vpg(redirection=True, redirection_delay_us=sec(1))
    fault = model.RedirectionFault(at_us=at(5), until_us=at(6), vpg_id="v")
    off = model.FeatureSwitch(at_us=at(10), vpg_id="v", feature="redirection", value=0)
    what = scenario(fleet("f", trace((1, 0), (5, 0), (11, 0))), vpgs=(own,), events=(fault, off))
    result = run(what)
    assert delays_of(result) == expected_delays(1, 0)
    assert sums(result)["failed_upstream_beam"] == 1


def test_inspection_counts_distinct_lines_an_hour() -> None:
    messages = trace((1, 0), (2, 0), (3, 1), (3700, 2), (3800, 2), (7300, 0))
    on = model.FeatureSwitch(at_us=at(2.5), vpg_id="v", feature="inspection", value=1)
    off = model.FeatureSwitch(at_us=at(3750), vpg_id="v", feature="inspection", value=0)
    result = run(scenario(fleet("f", messages, lines=3), events=(on, off), hours=3))
    assert by_hour(result, "lines_inspected") == [1, 1, 0]
    assert by_hour(result, "inspection_on") == [1, 1, 0]
    assert by_hour(result, "junction_on") == [1, 1, 0]


# ---- rows ----------------------------------------------------------------------------------------


def rows_of(what: model.Scenario) -> list[tuple[int, int, str, str]]:
    return [
        ((row.hour_start_us - START_US) // HOUR_US, row.config_seq, row.size, row.one_off)
        for row in run(what).rows
    ]


@pytest.mark.parametrize(
    ("second", "kind", "rows"),
    [
        (
            5400,
            "C",
            [
                (0, 0, "small", ""),
                (1, 0, "small", ""),
                (1, 1, "large", "contract_fee_c"),
                (2, 1, "large", ""),
            ],
        ),
        (
            3600,
            "D",
            [(0, 0, "small", ""), (1, 1, "large", "change_fee_d"), (2, 1, "large", "")],
        ),
    ],
    ids=["mid-hour", "at-the-hour"],
)
def test_a_resize_splits_its_hour_unless_it_is_at_the_hour(
    second: int, kind: Any, rows: list[tuple[int, int, str, str]]
) -> None:
    resize = model.Recreate(at_us=at(second), vpg_id="v", type=kind, size="large")
    what = scenario(fleet("f", lines=2), vpgs=(vpg(type=kind),), events=(resize,), hours=3)
    assert rows_of(what) == rows
    # and every session was cut; the devices had not noticed by the end
    assert sum(by_hour(run(what), "sessions_deleted")) == 2


def test_a_resize_in_place_cuts_nobody_and_costs_no_fee() -> None:
    resize = model.Recreate(at_us=at(5400), vpg_id="v", type="C", size="large")
    what = scenario(
        fleet("f", every(60)), events=(resize,), hours=2, a13_size_change="in_place_free"
    )
    assert rows_of(what) == [(0, 0, "small", ""), (1, 0, "small", ""), (1, 1, "large", "")]
    assert sums(run(what))["sessions_deleted"] == 0


def test_a_vpg_has_rows_for_the_hours_it_touches_and_no_other() -> None:
    # given: one that exists from 1:30 until exactly 3:00
    own = vpg(created_at_us=at(5400), deleted_at_us=at(10800), contract_fee=True)
    result = run(scenario(fleet("f", every(60)), vpgs=(own,), hours=5))
    assert [(row.hour_start_us - START_US) // HOUR_US for row in result.rows] == [1, 2]
    assert by_hour(result, "one_off") == ["contract_fee_c", ""]
    assert by_hour(result, "messages_offered") == [30, 60]
    assert by_hour(result, "sessions_end") == [1, 0]
    # one microsecond more touches one hour more
    longer = vpg(created_at_us=at(5400), deleted_at_us=at(10800) + 1)
    touched = run(scenario(fleet("f", every(60)), vpgs=(longer,), hours=5)).rows
    assert [(row.hour_start_us - START_US) // HOUR_US for row in touched] == [1, 2, 3]


def test_connections_and_ip_sets_count_at_their_peak() -> None:
    def change(second: float, by: int) -> model.ConnectionChange:
        return model.ConnectionChange(at_us=at(second), vpg_id="v", kind="vpn", change=by)

    events = (change(100, 2), change(200, -3), change(3600, 1), change(7300, -1))
    result = run(scenario(vpgs=(vpg(vpn=1),), events=events, hours=3))
    assert by_hour(result, "vpn_peak") == [3, 1, 1]


def test_a_stopped_run_has_touched_no_hour_that_it_did_not_enter() -> None:
    from sim.run import simulate

    looks = iter(range(1_000_000))
    what = scenario(fleet("f", every(60)), hours=3)
    result = simulate(what, limits(), stop=lambda: next(looks) >= 60)
    assert result.status == "partial"
    assert result.ended_at_us == at(3600)
    assert len(result.rows) == 1


@pytest.mark.parametrize("created_s", [0, 100])
def test_lines_that_join_are_in_use_whatever_the_fleet_began_with(created_s: int) -> None:
    # given: a fleet that begins suspended, or without a line, and grows before or after its VPG
    growth = model.Growth(at_us=at(50), fleet="f", lines=3)
    for first in (fleet("f", every(10), status="suspended"), fleet("f", every(10), lines=0)):
        own = vpg(created_at_us=at(created_s))
        seen = flows(scenario(first, vpgs=(own,), events=(growth,)))
        assert seen["sessions_end"] == 3
        assert seen["messages_delivered"] >= 3 * 350


def test_evicted_lines_that_notice_at_once_do_not_stop_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given: three lines for two slots; whoever is evicted notices at once and attaches again
    calls = iter(range(10_000))
    attach = Gateway.attach

    def counted(gateway: Gateway, line: Any, now_us: int) -> int:
        next(calls)  # StopIteration would mean 1,000 attach attempts a second
        return attach(gateway, line, now_us)

    monkeypatch.setattr(Gateway, "attach", counted)
    eager = fleet("f", lines=3, session=Session(attach="at_start", notice_us=0))
    what = scenario(eager, end_us=at(10), a02_above_line_cap="evict_longest_idle")
    assert flows(what, lines=2)["lines_peak"] == 2


def test_the_lines_peak_of_a_minute_sees_its_beginning() -> None:
    # given: two sessions from 10 s to 105 s, a third at 110 s
    messages = trace((10, 0), (10, 1), (110, 2))
    what = scenario(fleet("f", messages, lines=3, session=ON_REPORT), a16_idle_timeout_us=sec(95))
    assert [row.lines_peak for row in run(what).minutes] == [2, 2]


def test_what_ends_on_the_hour_is_not_in_the_hour_that_begins() -> None:
    # given: a second Peering and inspection that both go exactly at 01:00
    own = vpg(peering=2, inspection=True, fixed_ip_sets=1)
    gone = (
        model.ConnectionChange(at_us=at(3600), vpg_id="v", kind="peering", change=-1),
        model.FeatureSwitch(at_us=at(3600), vpg_id="v", feature="inspection", value=0),
        model.FeatureSwitch(at_us=at(3600), vpg_id="v", feature="fixed_ip", value=0),
    )
    seen = run(scenario(fleet(), vpgs=(own,), events=gone, hours=2))
    assert by_hour(seen, "peering_peak") == [2, 1]
    assert by_hour(seen, "inspection_on") == [1, 0]
    assert by_hour(seen, "junction_on") == [1, 0]
    assert by_hour(seen, "fixed_ip_sets") == [1, 0]


def test_what_comes_and_goes_within_an_hour_is_in_it() -> None:
    # given: a Peering that lives for the last microsecond of an hour
    events = (
        model.ConnectionChange(at_us=at(3600) - 1, vpg_id="v", kind="peering", change=1),
        model.ConnectionChange(at_us=at(3600), vpg_id="v", kind="peering", change=-1),
    )
    seen = run(scenario(fleet(), events=events, hours=2))
    assert by_hour(seen, "peering_peak") == [1, 0]


def test_a_line_is_inspected_once_an_hour_however_often_the_vpg_changes() -> None:
    # given: line 0 reports before and after a resize, line 1 only after it, both again next hour
    own = vpg(inspection=True)
    resize = model.Recreate(at_us=at(1800), vpg_id="v", type="C", size="medium")
    reports = trace((100, 0), (2000, 0), (2100, 1), (3700, 0))
    what = scenario(
        fleet("f", reports, lines=2, session=ON_REPORT), vpgs=(own,), events=(resize,), hours=2
    )
    assert by_hour(run(what), "lines_inspected") == [1, 2, 1]


def test_a_limit_that_the_catalogue_changes_holds_from_that_day_on() -> None:
    # given: 30 messages at once at 23:59:59 JST and again at 00:00:00, when the rate becomes 1/s
    table = """
        replace = true
        [[limit]]
        item = "rate_per_s_c_small"
        value = 1
        unit = "requests/s"
        effective_from = 2026-04-02
    """
    midnight = at(15 * 3600)
    times = [(15 * 3600 - 1, line) for line in range(30)] + [(15 * 3600, n) for n in range(30)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lower.toml"
        path.write_text(textwrap.dedent(table), encoding="utf-8")
        catalogue = load_catalogue([path])
    what = scenario(
        fleet("f", trace(*times), lines=30), start_us=midnight - HOUR_US, end_us=midnight + HOUR_US
    )
    seen = run(what, catalogue)
    assert by_hour(seen, "throttled_beam") == [0, 29]
    assert "catalogue_changed" in {note.kind for note in seen.notes}
