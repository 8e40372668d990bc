"""Sessions of the live VPG: cap, ghosts, eviction, timeouts, cuts, another life."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support_service_core import OPERATOR, Core, at_us, entries, order
from tests.support_sim import at, sec, small_limits
from vpg.rating.events import CREATED, DELETED, REFUSED, REQUEST
from vpg.service.gateway.chance import HashChance
from vpg.service.gateway.gateway import Gateway
from vpg.service.store.base import LiveSession
from vpg.service.values import Rules
from vpg.timebase import SECOND_US

# ---- the line cap and its sessions ---------------------------------------------------------------


def test_one_above_the_cap_is_refused_until_a_session_ends() -> None:
    core = Core(3, cap=2)
    a, b, c = core.lines
    gateway = core.gateway
    assert [gateway.attach(x, at(n)).decision for n, x in enumerate((a, b))] == ["created"] * 2
    refused = gateway.attach(c, at(2))
    assert (refused.decision, refused.reason) == ("refused", "line_cap")
    assert refused.retry_after_us == 60 * SECOND_US
    assert gateway.attach(a, at(3)).decision == "kept"
    assert gateway.detach(a, at(4))
    assert not gateway.detach(a, at(4))
    assert gateway.attach(c, at(5)).decision == "created"
    gateway.tick(at(6))
    events = core.told()
    assert [(one.type, one.subject, one.data.sessions) for one in events if one.subject] == [
        (CREATED, "g-0", 1),
        (CREATED, "g-1", 2),
        (DELETED, "g-0", 1),
        (CREATED, "g-2", 2),
    ]
    (refusal,) = [one for one in events if one.type == REFUSED]
    assert (refusal.data.outcome, refusal.data.requests) == ("line_cap", 1)
    assert at_us(refusal) == at(3) - 1


@pytest.mark.parametrize(
    ("status", "decision", "reason"),
    [
        ("inactive", "rejected", "inactive"),
        ("suspended", "rejected_for_good", "suspended"),
        ("terminated", "rejected_for_good", "terminated"),
        ("ready", "created", ""),
        ("standby", "created", ""),
    ],
)
def test_a_line_attaches_by_its_status(status: Any, decision: str, reason: str) -> None:
    core = Core(1)
    core.gateway.set_status(core.lines[0], status, at(0))
    answer = core.gateway.attach(core.lines[0], at(1))
    assert (answer.decision, answer.reason) == (decision, reason)
    core.gateway.tick(at(2))
    assert core.kinds()["session.refused.v1 other"] == (decision != "created")


def test_a_line_that_may_not_be_used_any_more_loses_its_session_or_ghost() -> None:
    core = Core(2)
    for line in core.lines:
        core.gateway.attach(line, at(0))
    core.gateway.lost(core.lines[1], at(1))
    for line in core.lines:
        core.gateway.set_status(line, "suspended", at(2))
    deleted = [one.data.ghost for one in core.told() if one.type == DELETED]
    assert deleted == [False, True]
    assert core.gateway.snapshot("v", at(3)).sessions == 0


def test_the_longest_idle_goes_first_and_of_equals_the_first_line() -> None:
    core = Core(5, cap=3, rules={"above_line_cap": "evict_longest_idle"})
    gateway, (a, b, c, d, e) = core.gateway, core.lines
    for line in (c, b, a):
        gateway.attach(line, at(0))
    gateway.request(a, "beam", at(5))
    core.told()
    gateway.attach(d, at(6))
    gateway.attach(e, at(6))
    assert [one.subject for one in core.told() if one.type == DELETED] == ["g-1", "g-2"]
    gateway.lost(d, at(7))
    gateway.attach(b, at(8))
    # The ghost is as old as its last activity; the other two are younger or behind it.
    assert [one.subject for one in core.told() if one.type == DELETED] == ["g-0"]


def test_a_ghost_is_replaced_by_its_own_line_even_at_the_cap() -> None:
    core = Core(2, cap=1)
    a, b = core.lines
    core.gateway.attach(a, at(0))
    core.gateway.lost(a, at(1))
    assert core.gateway.attach(b, at(2)).decision == "refused"
    assert core.gateway.attach(a, at(3)).decision == "created"
    kinds = [(one.type, one.data.ghost, one.data.ghosts) for one in core.told() if one.subject]
    assert kinds == [
        ("session.created.v1", False, 0),
        ("session.modified.v1", True, 1),
        ("session.deleted.v1", True, 0),
        ("session.created.v1", False, 0),
    ]


def test_a_ghost_that_is_not_replaced_stays_until_its_timeout() -> None:
    core = Core(1, cap=2, rules={"ghosts_replaced": False, "idle_timeout_us": sec(100)})
    (line,) = core.lines
    core.gateway.attach(line, at(0))
    core.gateway.lost(line, at(1))
    assert core.gateway.attach(line, at(2)).decision == "created"
    assert core.gateway.snapshot("v", at(99)).sessions == 2
    shot = core.gateway.snapshot("v", at(100))
    assert (shot.sessions, shot.ghosts) == (1, 0)
    assert core.gateway.request(line, "beam", at(101)).outcome == "admitted"


def test_sessions_are_set_up_no_faster_than_allowed() -> None:
    core = Core(4, cap=9, rules={"session_setup_per_s": 2})
    answers = [core.gateway.attach(line, at(0)) for line in core.lines]
    assert [one.decision for one in answers] == ["created", "created", "rejected", "rejected"]
    assert {one.reason for one in answers[2:]} == {"setup_rate"}
    assert answers[2].retry_after_us == SECOND_US
    assert core.gateway.attach(core.lines[2], at(0.499999)).decision == "rejected"
    assert core.gateway.attach(core.lines[2], at(0.5)).decision == "created"


@pytest.mark.parametrize(("early_us", "outcome"), [(1, "admitted"), (0, "no_session")])
def test_a_request_at_the_very_instant_of_the_idle_timeout_is_too_late(
    early_us: int, outcome: str
) -> None:
    core = Core(1, rules={"idle_timeout_us": sec(100)})
    (line,) = core.lines
    core.gateway.attach(line, at(0))
    core.gateway.request(line, "beam", at(50))
    assert core.gateway.request(line, "beam", at(150) - early_us).outcome == outcome
    deleted = [at_us(one) for one in core.told() if one.type == DELETED]
    assert deleted == ([at(150)] if outcome == "no_session" else [])


def test_a_timeout_noticed_late_is_told_of_its_own_instant() -> None:
    core = Core(2, rules={"idle_timeout_us": sec(100)})
    for n, line in enumerate(core.lines):
        core.gateway.attach(line, at(n))
    core.gateway.tick(at(5_000))
    deleted = [(one.subject, at_us(one)) for one in core.told() if one.type == DELETED]
    assert deleted == [("g-0", at(100)), ("g-1", at(101))]


def test_a_line_that_keeps_alive_times_out_only_as_a_ghost() -> None:
    core = Core(0, rules={"idle_timeout_us": sec(100)})
    (line,) = core.gateway.add_lines(entries(1, group="k", keeps_alive=True))
    core.gateway.attach(line, at(0))
    assert core.gateway.snapshot("v", at(500)).sessions == 1
    core.gateway.lost(line, at(501))
    assert core.gateway.snapshot("v", at(501)).sessions == 0


def test_sessions_are_cut_by_age_and_by_bytes() -> None:
    core = Core(2, rules={"cut_after_us": sec(60), "cut_after_bytes": 100})
    old, heavy = core.lines
    for line in core.lines:
        core.gateway.attach(line, at(0))
    for second, bytes_up in ((1, 90), (2, 10), (3, 1)):
        verdict = core.gateway.request(heavy, "beam", at(second))
        assert verdict.outcome == "admitted"
        core.gateway.finish(
            heavy,
            "beam",
            verdict.admitted_us,
            at(second),
            delivered=True,
            bytes_up=bytes_up,
            bytes_down=0,
        )
    core.gateway.request(old, "beam", at(59))
    assert core.gateway.request(old, "beam", at(60)).outcome == "no_session"
    deleted = [(one.subject, at_us(one)) for one in core.told() if one.type == DELETED]
    assert deleted == [("g-1", at(3)), ("g-0", at(60))]


def test_lines_that_come_and_go_do_not_fill_the_memory() -> None:
    core = Core(2, cap=9, rules={"above_line_cap": "evict_longest_idle"})
    core.gateway.attach(core.lines[1], at(0))
    for n in range(2_000):
        core.gateway.attach(core.lines[0], at(n))
        core.gateway.detach(core.lines[0], at(n + 0.5))
    book = core.gateway.vpg("v").book
    assert len(book.heap) < 100
    assert len(book._oldest) < 100
    assert core.gateway.snapshot("v", at(3_600)).sessions == 0


def test_an_implicit_attach_is_counted_as_one_and_refused_as_one() -> None:
    core = Core(2, cap=1)
    a, b = core.lines
    assert core.gateway.request(a, "funk", at(0), attach_first=True).outcome == "admitted"
    verdict = core.gateway.request(b, "funk", at(0), attach_first=True)
    assert (verdict.outcome, verdict.reason) == ("no_session", "line_cap")
    assert verdict.retry_after_us > 0
    assert core.gateway.request(b, "funk", at(0)).reason == "no_session"
    core.gateway.tick(at(1))
    told = {(one.type, one.data.outcome): one.data.requests for one in core.told()}
    assert told[REQUEST, "no_session"] == 2
    assert told[REFUSED, "line_cap"] == 1


# ---- another life --------------------------------------------------------------------------------


def test_sessions_of_the_life_before_go_on_and_time_out() -> None:
    rules = Rules(idle_timeout_us=sec(100), cut_after_us=sec(120))
    restored = [
        LiveSession(sim_id="g-0", vpg_id="v", created_us=at(-30), ghost=False),
        LiveSession(sim_id="g-1", vpg_id="v", created_us=at(-60), ghost=True),
        LiveSession(sim_id="g-9", vpg_id="v", created_us=at(-60), ghost=True),
    ]
    gateway = Gateway(
        orders=(order(),),
        lines=entries(3),
        rules=rules,
        catalogue=small_limits(2, 1),
        now_us=at(0),
        life=2,
        chance=HashChance(),
        restored=restored,
    )
    assert gateway.outbox == []
    shot = gateway.snapshot("v", at(1))
    assert (shot.sessions, shot.ghosts) == (2, 1)
    line = gateway.line_named("g-0")
    assert line is not None
    assert gateway.request(line, "beam", at(80)).outcome == "admitted"
    gateway.tick(at(100))
    deleted = [(one.subject, at_us(one), one.data.ghost) for one in gateway.outbox if one.subject]
    assert deleted == [("g-0", at(90), False), ("g-1", at(100), True)]
    assert {one.data.operatorId for one in gateway.outbox} == {OPERATOR}


def test_no_two_lives_share_an_id() -> None:
    ids = set()
    for life in (1, 2):
        gateway = Gateway(
            orders=(order(),),
            lines=entries(2),
            rules=Rules(),
            catalogue=small_limits(2, 1),
            now_us=at(0),
            life=life,
            chance=HashChance(),
        )
        for line in gateway.lines:
            gateway.attach(line, at(1))
        ids |= {one.id for one in gateway.outbox}
    assert len(ids) == 4
