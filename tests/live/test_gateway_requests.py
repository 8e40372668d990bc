"""Requests at the live VPG: limiter, queue, seconds, upstream, copies."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.support_service_core import Core, at_us
from tests.support_sim import at, sec
from vpg.gateway import junction
from vpg.rating.ledger import BillingState
from vpg.service.values import Limiter, Peer, Upstream
from vpg.timebase import SECOND_US

# ---- the limiter ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["token_bucket", "fixed_window"])
def test_whoever_comes_after_retry_after_is_admitted(kind: Any) -> None:
    core = Core(1, rate=3, limiter=Limiter(kind=kind, burst_requests=3))
    core.attach_all()
    (line,) = core.lines
    outcomes = [core.gateway.request(line, "beam", at(0.1)) for _ in range(4)]
    assert [one.outcome for one in outcomes] == ["admitted"] * 3 + ["throttled"]
    assert outcomes[3].retry_after_us == SECOND_US
    assert outcomes[3].reason == "rate"
    assert core.gateway.request(line, "beam", at(0.1) + SECOND_US).outcome == "admitted"


def test_retry_after_is_exact_where_a_request_costs_more_than_a_second() -> None:
    core = Core(1, rate=1, limiter=Limiter(burst_requests=2), rules={"beam_both_legs": True})
    core.attach_all()
    (line,) = core.lines
    assert core.gateway.request(line, "beam", at(0)).outcome == "admitted"
    refused = core.gateway.request(line, "beam", at(0))
    assert refused.retry_after_us == 2 * SECOND_US
    assert core.gateway.request(line, "beam", at(2) - 1).outcome == "throttled"
    assert core.gateway.request(line, "beam", at(2)).outcome == "admitted"


def test_services_share_one_limiter_or_have_one_each() -> None:
    for shared, admitted in ((True, 2), (False, 6)):
        core = Core(1, rate=2, rules={"rate_shared": shared})
        core.attach_all()
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
    core.attach_all()
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
    core.attach_all()
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
    full.attach_all()
    full.gateway.request(full.lines[0], "beam", at(0))
    assert full.gateway.request(full.lines[0], "beam", at(0)).reason == "queue_full"


def test_what_waits_in_the_queue_of_a_vpg_that_ends_is_nobodys() -> None:
    core = Core(1, rate=1, limiter=Limiter(above="queue"))
    core.attach_all()
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
    core.attach_all()
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
    core.attach_all()
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
    core.attach_all()
    for _ in range(3):
        core.gateway.request(core.lines[0], "beam", at(7.25))
    core.gateway.flush(at(7.5))
    (told,) = [one for one in core.told() if one.data.outcome == "throttled"]
    assert (told.data.requests, at_us(told)) == (2, at(7.5))


def test_an_inspected_line_is_told_once_an_hour_and_with_its_first_counted_request() -> None:
    state = BillingState(type="C", size="small", inspection=True)
    core = Core(1, rate=1, state=state)
    core.attach_all()
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
    core.attach_all()
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
    core.attach_all()
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
