"""The live VPG by itself: cap, ghosts, eviction, timeouts, queue, seconds, restarts, changes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from tests.support_service_core import OPERATOR, Core, entries, order
from tests.support_sim import START_US, at, sec, small_limits
from vpg.errors import InputError
from vpg.gateway import junction
from vpg.rating.events import CONFIG, CREATED, DELETED, REFUSED, REQUEST
from vpg.rating.ledger import BillingState
from vpg.service.gateway.chance import HashChance
from vpg.service.gateway.gateway import Gateway
from vpg.service.store.base import LiveSession
from vpg.service.values import Limiter, Peer, Rules, Upstream
from vpg.timebase import SECOND_US, from_datetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.rating.events import UsageEvent


def at_us(one: UsageEvent) -> int:
    """Return when ``one`` happened."""
    return from_datetime(one.time)


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


# ---- the limiter ---------------------------------------------------------------------------------


def ready(core: Core) -> None:
    """Let every line attach."""
    for line in core.lines:
        core.gateway.attach(line, START_US)
    core.told()


@pytest.mark.parametrize("kind", ["token_bucket", "fixed_window"])
def test_whoever_comes_after_retry_after_is_admitted(kind: Any) -> None:
    core = Core(1, rate=3, limiter=Limiter(kind=kind, burst_requests=3))
    ready(core)
    (line,) = core.lines
    outcomes = [core.gateway.request(line, "beam", at(0.1)) for _ in range(4)]
    assert [one.outcome for one in outcomes] == ["admitted"] * 3 + ["throttled"]
    assert outcomes[3].retry_after_us == SECOND_US
    assert outcomes[3].reason == "rate"
    assert core.gateway.request(line, "beam", at(0.1) + SECOND_US).outcome == "admitted"


def test_retry_after_is_exact_where_a_request_costs_more_than_a_second() -> None:
    core = Core(1, rate=1, limiter=Limiter(burst_requests=2), rules={"beam_both_legs": True})
    ready(core)
    (line,) = core.lines
    assert core.gateway.request(line, "beam", at(0)).outcome == "admitted"
    refused = core.gateway.request(line, "beam", at(0))
    assert refused.retry_after_us == 2 * SECOND_US
    assert core.gateway.request(line, "beam", at(2) - 1).outcome == "throttled"
    assert core.gateway.request(line, "beam", at(2)).outcome == "admitted"


def test_services_share_one_limiter_or_have_one_each() -> None:
    for shared, admitted in ((True, 2), (False, 6)):
        core = Core(1, rate=2, rules={"rate_shared": shared})
        ready(core)
        verdicts = [
            core.gateway.request(core.lines[0], service, at(0))
            for service in ("beam", "funnel", "funk") * 3
        ]
        assert sum(one.outcome == "admitted" for one in verdicts) == admitted


@pytest.mark.parametrize(
    ("above", "outcome", "reason", "retry_after_us", "flagged"),
    [
        ("refuse", "throttled", "rate", SECOND_US, False),
        ("reset", "throttled", "reset", 0, False),
        ("accept_and_flag", "admitted", "", 0, True),
    ],
)
def test_above_the_rate(
    above: str, outcome: str, reason: str, retry_after_us: int, flagged: bool
) -> None:
    core = Core(1, rate=1, rules={"above_rate": above})
    ready(core)
    (line,) = core.lines
    assert not core.gateway.request(line, "beam", at(0)).flagged
    second = core.gateway.request(line, "beam", at(0))
    assert (second.outcome, second.reason) == (outcome, reason)
    assert (second.retry_after_us, second.flagged) == (retry_after_us, flagged)
    if flagged:
        told = core.gateway.finish(
            line,
            "beam",
            second.admitted_us,
            at(0),
            delivered=True,
            bytes_up=1,
            bytes_down=1,
            flagged=second.flagged,
        )
        assert told.data.flagged == 1


def test_the_queue_admits_in_turn_expires_and_is_bounded() -> None:
    limiter = Limiter(above="queue", queue_deadline_us=sec(2), queue_requests_max=3)
    core = Core(1, rate=1, limiter=limiter)
    ready(core)
    (line,) = core.lines
    verdicts = [core.gateway.request(line, "beam", at(0)) for _ in range(4)]
    assert [one.outcome for one in verdicts] == ["admitted", "waiting", "waiting", "waiting"]
    assert [one.wait_us for one in verdicts[1:]] == [sec(1), sec(2), sec(2)]
    # The fourth would wait too long: it hears so at its deadline, and takes no slot.
    late = [core.gateway.queued(one, at(0) + one.wait_us) for one in verdicts[1:]]
    assert [one.outcome for one in late] == ["admitted", "admitted", "throttled"]
    assert late[0].admitted_us == at(1)
    assert late[2].reason == "queue_deadline"
    full = Core(1, rate=1, limiter=dataclasses.replace(limiter, queue_requests_max=0))
    ready(full)
    full.gateway.request(full.lines[0], "beam", at(0))
    assert full.gateway.request(full.lines[0], "beam", at(0)).reason == "queue_full"


def test_what_waits_in_the_queue_of_a_vpg_that_ends_is_nobodys() -> None:
    core = Core(1, rate=1, limiter=Limiter(above="queue"))
    ready(core)
    core.gateway.request(core.lines[0], "beam", at(0))
    waiting = core.gateway.request(core.lines[0], "beam", at(0))
    core.gateway.end_vpg("v", at(0.5))
    core.told()
    assert core.gateway.queued(waiting, at(1)).reason == "no_vpg"
    assert core.gateway.request(core.lines[0], "beam", at(2)).reason == "no_vpg"
    assert core.gateway.attach(core.lines[0], at(2)).reason == "no_vpg"
    core.gateway.tick(at(5))
    assert core.told() == []


def test_uncapped_types_admit_everything() -> None:
    core = Core(1, state=BillingState(type="F", size=""))
    ready(core)
    verdicts = {core.gateway.request(core.lines[0], "beam", at(0)).outcome for _ in range(999)}
    shot = core.gateway.snapshot("v", at(0))
    assert verdicts == {"admitted"}
    assert (shot.rate_per_s, shot.lines_max, shot.tokens_micro, shot.attempts) == (
        None,
        None,
        None,
        999,
    )


# ---- what is told by the second ------------------------------------------------------------------


def test_refusals_leave_as_one_event_each_at_the_end_of_their_second() -> None:
    core = Core(2, cap=9, rate=1)
    core.gateway.attach(core.lines[0], at(0))
    core.told()
    for n in range(5):
        core.gateway.request(core.lines[0], "beam", at(10 + n / 10))
        core.gateway.request(core.lines[0], "ip", at(10 + n / 10))
        core.gateway.request(core.lines[1], "funk", at(10 + n / 10))
    assert core.told() == []
    core.gateway.tick(at(11))
    told = core.told()
    assert {at_us(one) for one in told} == {at(11) - 1}
    assert {(one.data.service, one.data.outcome): one.data.requests for one in told} == {
        ("beam", "throttled"): 4,
        ("funk", "no_session"): 5,
    }
    assert {one.data.ratePerS for one in told} == {5}
    core.gateway.tick(at(12))
    assert core.told() == []


def test_a_peak_is_told_once_a_row_and_again_in_the_next_hour() -> None:
    core = Core(1, rate=5)
    ready(core)
    (line,) = core.lines
    peaks = []
    for second, count in ((1, 2), (2, 1), (3, 3), (4, 3), (3_601, 1)):
        for _ in range(count):
            core.gateway.request(line, "funnel", at(second))
        core.gateway.tick(at(second + 1))
        peaks.append([one.data.ratePerS for one in core.told() if one.data.ratePerS])
        core.gateway.attach(line, at(second + 1))
    assert peaks == [[2], [], [3], [], [1]]


def test_a_life_that_ends_tells_its_running_second() -> None:
    core = Core(1, rate=1)
    ready(core)
    for _ in range(3):
        core.gateway.request(core.lines[0], "beam", at(7.25))
    core.gateway.flush(at(7.5))
    (told,) = [one for one in core.told() if one.data.outcome == "throttled"]
    assert (told.data.requests, at_us(told)) == (2, at(7.5))


def test_an_inspected_line_is_told_once_an_hour_and_with_its_first_counted_request() -> None:
    state = BillingState(type="C", size="small", inspection=True)
    core = Core(1, rate=1, state=state)
    ready(core)
    (line,) = core.lines
    seen = []
    for second in (1, 2, 3_700):
        core.gateway.attach(line, at(second))
        verdict = core.gateway.request(line, "beam", at(second))
        told = core.gateway.finish(
            line,
            "beam",
            verdict.admitted_us,
            at(second),
            delivered=True,
            bytes_up=0,
            bytes_down=0,
        )
        seen.append(told.data.inspected)
        core.gateway.tick(at(second + 1))
    assert seen == [("g-0",), (), ("g-0",)]
    assert [one.data.inspected for one in core.told() if one.data.inspected] == [("g-0",)] * 2


# ---- behind the limiter --------------------------------------------------------------------------


def test_the_emulated_upstream_is_slow_fails_and_times_out() -> None:
    upstream = Upstream(delay_us=sec(1), timeout_us=sec(3), failure_ppm=300_000)
    core = Core(1, rate=1_000, upstream=upstream, redirection_delay_us=sec(0.5))
    ready(core)
    (line,) = core.lines
    verdicts = [core.gateway.request(line, "beam", at(1)) for _ in range(900)]
    assert {one.path_us for one in verdicts} == {sec(1)}
    assert 200 < sum(one.fails for one in verdicts) < 340
    live = core.gateway.vpg("v")
    live.upstream.fault(("beam",), 1, sec(2) + 1)
    slow = core.gateway.request(line, "beam", at(2))
    assert (slow.fails, slow.path_us) == (True, sec(3))
    live.upstream.fault(("beam",), -1, sec(2) + 1)
    live.upstream.fault(("beam",), 1, None)
    assert core.gateway.request(line, "beam", at(3)).fails
    assert core.gateway.request(line, "funk", at(3)).path_us == sec(1)
    live.upstream.fault(("beam",), -1, None)
    core.gateway.switch("v", "redirection", 1, at(4))
    assert core.gateway.request(line, "beam", at(4)).path_us == sec(1.5)
    live.upstream.redirection_fault(1)
    assert core.gateway.request(line, "beam", at(5)).fails


def test_copies_carry_each_byte_once_to_every_peer_that_is_enabled() -> None:
    peers = (
        Peer(ip="10.0.0.1"),
        Peer(ip="10.0.0.2", enabled=False),
        Peer(ip="10.0.0.3", capacity_bytes_per_s=1_600),
    )
    state = BillingState(type="C", size="small", mirroring=True)
    core = Core(1, state=state, peers=peers, message_overhead_bytes=100)
    ready(core)
    (line,) = core.lines
    copies = core.gateway.mirrored(line, at(1), request_bytes=3_000, answer_bytes=0)
    to_first = [(one.answer, one.start, one.length) for one in copies if one.peer is peers[0]]
    assert to_first == [
        (False, 0, 1460),
        (False, 1460, 1460),
        (False, 2920, 180),
        (True, 0, 100),
    ]
    assert peers[1] not in {one.peer for one in copies}
    core.gateway.tick(at(2))
    (told,) = [one for one in core.told() if one.type == "mirror.v1"]
    sent = sum(one.length + 40 + junction.GRE_BYTES for one in copies)
    assert told.data.bytesMirrored == sent
    assert told.data.mirrorDropped == 2 * 4 - len(copies)
    assert core.gateway.mirrored(line, at(3), request_bytes=1, answer_bytes=None, throttled=True)
    core.gateway.switch("v", "mirroring", 0, at(4))
    assert core.gateway.mirrored(line, at(4), request_bytes=1, answer_bytes=1) == []


# ---- the VPG itself ------------------------------------------------------------------------------


def test_a_change_of_size_is_told_before_what_it_cuts_and_after_what_was_before() -> None:
    core = Core(2, cap=2, rate=1)
    ready(core)
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


def test_tokens_are_kept_over_a_change_in_place() -> None:
    core = Core(1, rate=2, rules={"recreate_with_fee": False})
    ready(core)
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
    ready(core)
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
