"""A scenario as the live service is told it: nothing is lost, every name and address is its own."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.loader import load_scenario
from scenarios.model import Assumptions, Limiter, MirrorPeer, Upstream
from scenarios.new import ready_names, ready_text
from tests.support import ROOT
from vpg.catalogue.load import load_catalogue
from vpg.cli import serving_values
from vpg.service import values

NUMBERS = st.integers(0, serving_values.LINES_MAX - 1)
CATALOGUE = load_catalogue()


@given(NUMBERS, NUMBERS)
def test_names_and_addresses_are_one_to_one(one: int, other: int) -> None:
    for name in (serving_values.sim_id, serving_values.imsi, serving_values.address):
        assert (name(one) == name(other)) == (one == other)


@given(NUMBERS)
def test_names_and_addresses_are_shaped_as_stated(number: int) -> None:
    address = ipaddress.IPv4Address(serving_values.address(number))
    assert address.is_loopback
    assert not address.exploded.startswith("127.0."), "this machine's own services live there"
    assert all(0 < octet < 255 for octet in address.packed)
    assert len(serving_values.sim_id(number)) == 19
    assert len(serving_values.imsi(number)) == 15
    assert (
        int(serving_values.sim_id(number)[7:]) == number + 1 == int(serving_values.imsi(number)[5:])
    )


def test_every_address_up_to_the_bound_exists() -> None:
    ipaddress.IPv4Address(serving_values.address(serving_values.LINES_MAX - 1))


@pytest.mark.parametrize("name", ready_names())
def test_every_ready_made_scenario_can_be_told(name: str) -> None:
    scenario = load_scenario(ROOT / "scenarios" / "ready" / f"{name}.yaml", catalogue=CATALOGUE)
    orders = serving_values.orders(scenario, {})
    assert [order.id for order in orders] == [vpg.id for vpg in scenario.vpgs]
    entries = list(serving_values.lines(scenario))
    assert len(entries) == serving_values.line_count(scenario)
    assert [entry.group_id for entry in entries] == [
        fleet.name for fleet in scenario.fleets for _ in range(fleet.lines)
    ]
    homes = {fleet.name: fleet.vpg_id for fleet in scenario.fleets}
    assert all(entry.vpg_id == homes[entry.group_id] for entry in entries)
    assert serving_values.billing_rules(scenario).rounding == scenario.assumptions.a15_rounding


@pytest.mark.parametrize(
    ("ours", "theirs", "extra"),
    [
        (Limiter, values.Limiter, set()),
        (MirrorPeer, values.Peer, {"port"}),
        (Upstream, values.Upstream, {"url"}),
    ],
)
def test_whatever_a_scenario_can_say_of_a_part_is_passed_on(
    ours: type, theirs: type, extra: set[str]
) -> None:
    names = [{field.name for field in dataclasses.fields(kind)} for kind in (ours, theirs)]
    assert names[0] == names[1] - extra


def test_limits_of_a_part_arrive_as_they_are() -> None:
    text = ready_text("smallest")
    sets = (
        "vpgs[0].limiter={kind: fixed_window}",
        "vpgs[0].upstream={delay_ms: 250, timeout_s: 9, failure_percent: 1}",
        "assumptions={idle_timeout_s: 60}",
    )
    scenario = load_scenario(text, catalogue=CATALOGUE, sets=sets)
    [order] = serving_values.orders(scenario, {"": "http://a.example", "gate": "mqtt://b.example"})
    assert order.limiter.kind == "fixed_window"
    assert order.upstream == values.Upstream(
        url="mqtt://b.example", delay_us=250_000, timeout_us=9_000_000, failure_ppm=10_000
    )
    rules = serving_values.rules(scenario, implicit_attach=False, any_line=True)
    assert (rules.idle_timeout_us, rules.implicit_attach) == (60_000_000, False)
    assert not rules.lines_must_be_known


def test_every_assumption_about_the_gateway_is_a_rule() -> None:
    billed = {"a09", "a10", "a11", "a15", "a32"}
    told = {field.name[:3] for field in dataclasses.fields(Assumptions)} - billed
    changed = {
        "a01_line_cap": "assigned_sims",
        "a02_above_line_cap": "evict_longest_idle",
        "a03_above_rate": "reset",
        "a05_rate_shared": "each",
        "a06_beam_legs": "both",
        "a13_size_change": "in_place_free",
        "a16_idle_timeout_us": 7,
        "a17_ghosts": "not_replaced",
        "a18_session_setup_per_s": 8,
        "a28_cut_after_us": 9,
        "a28_cut_after_bytes": 10,
        "a35_mirror_throttled": False,
    }
    assert {name[:3] for name in changed} == told
    scenario = load_scenario(ready_text("smallest"), catalogue=CATALOGUE)
    usual = serving_values.rules(scenario, implicit_attach=True, any_line=False)
    for name, value in changed.items():
        assumed = dataclasses.replace(scenario.assumptions, **{name: value})  # type: ignore[arg-type]
        other = dataclasses.replace(scenario, assumptions=assumed)
        rules = serving_values.rules(other, implicit_attach=True, any_line=False)
        assert rules != usual, name
