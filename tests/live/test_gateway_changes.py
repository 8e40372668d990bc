"""Changes of the live VPG itself, its lines, and chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support_service_core import Core, at_us, entries, order
from tests.support_sim import START_US, at
from vpg.errors import InputError
from vpg.rating.events import CONFIG, CREATED, DELETED, REQUEST
from vpg.rating.ledger import BillingState
from vpg.service.gateway.chance import HashChance

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.service.gateway.gateway import Gateway


# ---- the VPG itself ------------------------------------------------------------------------------


def test_a_change_of_size_is_told_before_what_it_cuts_and_after_what_was_before() -> None:
    core = Core(2, cap=2, rate=1)
    core.attach_all()
    for _ in range(3):
        core.gateway.request(core.lines[0], "beam", at(5))
    core.gateway.resize("v", "C", "large", at(5.5))
    told = core.told()
    assert [(one.type, at_us(one) - at(5.5)) for one in told] == [
        (REQUEST, -1),
        (CONFIG, 0),
        (DELETED, 0),
        (DELETED, 0),
    ]
    config = told[1].data.config
    assert config is not None
    assert (config.size, config.resized, config.oneOff) == ("large", True, ("contract_fee_c",))
    shot = core.gateway.snapshot("v", at(6))
    assert (shot.lines_max, shot.rate_per_s, shot.sessions) == (6, 3, 0)


def test_what_was_told_of_the_instant_of_a_change_stays_before_it() -> None:
    core = Core(1)
    core.gateway.attach(core.lines[0], at(5))
    core.gateway.resize("v", "C", "medium", at(5))
    verdict = core.gateway.request(core.lines[0], "beam", at(5), attach_first=True)
    told = core.told()
    assert [(one.type, at_us(one) - at(5)) for one in told] == [
        (CONFIG, at(0) - at(5)),
        (CREATED, 0),
        (CONFIG, 1),
        (DELETED, 1),
        (CREATED, 1),
    ]
    assert verdict.admitted_us == at(5) + 1


def test_changes_at_the_last_microsecond_of_an_hour_stay_in_it() -> None:
    core = Core(1)
    last_us = at(3_600) - 1
    core.gateway.attach(core.lines[0], last_us)
    core.gateway.connections("v", "peering", 1, last_us)
    core.gateway.resize("v", "C", "medium", last_us)
    told = core.told()
    assert [one.type for one in told] == [CONFIG, CREATED, CONFIG, CONFIG, DELETED]
    assert {at_us(one) for one in told[1:]} == {last_us}


def test_tokens_are_kept_over_a_change_in_place() -> None:
    core = Core(1, rate=2, rules={"recreate_with_fee": False})
    core.attach_all()
    (line,) = core.lines
    assert core.gateway.request(line, "beam", at(1)).outcome == "admitted"
    core.gateway.resize("v", "C", "large", at(1))
    assert core.gateway.snapshot("v", at(1)).tokens_micro == 1_000_000
    config = core.told()[-1].data.config
    assert config is not None
    assert config.oneOff == ()
    assert line.session is not None


def test_an_end_tells_its_sessions_before_it() -> None:
    core = Core(2)
    core.attach_all()
    core.gateway.end_vpg("v", at(3_600))
    told = core.told()
    assert [(one.type, at_us(one) - at(3_600)) for one in told] == [
        (DELETED, -1),
        (DELETED, -1),
        (CONFIG, 0),
    ]
    assert told[-1].data.config is not None
    assert not told[-1].data.config.exists
    with pytest.raises(InputError, match="VPG1820"):
        core.gateway.end_vpg("v", at(3_601))
    with pytest.raises(InputError, match="VPG1822"):
        core.gateway.create_vpg(order(), at(3_601))


BAD: dict[str, tuple[str, Callable[[Gateway], object]]] = {
    "unknown VPG": ("VPG1820", lambda g: g.resize("w", "C", "small", START_US)),
    "no such size": ("VPG1823", lambda g: g.resize("v", "C", "huge", START_US)),
    "E has no sizes": ("VPG1823", lambda g: g.resize("v", "E", "small", START_US)),
    "no such feature": ("VPG1823", lambda g: g.switch("v", "teleport", 1, START_US)),
    "half a switch": ("VPG1823", lambda g: g.switch("v", "mirroring", 2, START_US)),
    "fewer than none": ("VPG1823", lambda g: g.switch("v", "fixed_ip", -1, START_US)),
    "no such connection": ("VPG1823", lambda g: g.connections("v", "cable", 1, START_US)),
    "too many": ("VPG1823", lambda g: g.connections("v", "peering", 10_001, START_US)),
    "not for this type": ("VPG1824", lambda g: g.connections("v", "vpn", 1, START_US)),
    "a name that is taken": ("VPG1821", lambda g: g.add_lines(entries(1))),
    "twice the same": ("VPG1821", lambda g: g.add_lines(entries(1, group="n") * 2)),
    "born as what it cannot be": (
        "VPG1824",
        lambda g: g.create_vpg(order("n", state=BillingState(type="C", size="small", vpn=1)), 0),
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_changes_that_make_no_sense_change_nothing(what: str) -> None:
    core = Core(2)
    core.told()
    code, do = BAD[what]
    with pytest.raises(InputError, match=code):
        do(core.gateway)
    assert core.told() == []
    assert len(list(core.gateway.lines)) == 2
    assert [one.id for one in core.gateway.vpgs] == ["v"]


def test_lines_are_known_by_address_and_by_both_names() -> None:
    core = Core(2)
    line = core.lines[1]
    assert core.gateway.line_at("127.1.0.2") is line
    assert core.gateway.line_named("g-1") is core.gateway.line_named("imsi-g-1") is line
    assert core.gateway.line_at("127.9.9.9") is core.gateway.line_named("") is None


def test_lines_wait_for_their_vpg_and_are_counted_in_their_order() -> None:
    core = Core(0, rules={"line_cap": "assigned_sims"}, cap=1)
    first, second = core.gateway.add_lines(entries(2, "late", "l"))
    assert core.gateway.attach(first, at(1)).reason == "no_vpg"
    assert core.gateway.request(first, "beam", at(1)).reason == "no_vpg"
    core.gateway.create_vpg(order("late"), at(2))
    assert core.gateway.attach(second, at(3)).decision == "refused"
    assert core.gateway.attach(first, at(3)).decision == "created"


# ---- chance --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share_ppm", [0, 1_000, 300_000, 999_000, 1_000_000])
def test_chance_hits_its_share_and_the_same_ones_again(share_ppm: int) -> None:
    draws = [
        HashChance(7).hits(share_ppm, "upstream", f"line-{line}", serial)
        for line in range(40)
        for serial in range(500)
    ]
    expected, spread = len(draws) * share_ppm / 1e6, (len(draws) * share_ppm / 1e6) ** 0.5
    assert abs(sum(draws) - expected) <= 4 * spread
    assert draws[:500] == [
        HashChance(7).hits(share_ppm, "upstream", "line-0", n) for n in range(500)
    ]


def test_chance_depends_on_all_it_is_for() -> None:
    def drawn(seed: int, what: str, line: str) -> list[bool]:
        return [HashChance(seed).hits(500_000, what, line, n) for n in range(64)]

    patterns = [drawn(0, "a", "x"), drawn(1, "a", "x"), drawn(0, "b", "x"), drawn(0, "a", "y")]
    assert all(patterns[i] != patterns[j] for i in range(4) for j in range(i))
