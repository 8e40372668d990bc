"""Laws of the live VPG that hold whatever lines and administrators do, in whatever order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support_service_core import Core, at_us
from tests.support_sim import START_US, sec
from vpg.rating.events import CONFIG, CREATED, DELETED, MODIFIED, REFUSED, REQUEST
from vpg.rating.ledger import BillingState
from vpg.service.values import Limiter
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from vpg.rating.events import UsageEvent

LINES = 5
CAP = 3
RATE = 2
FACTORS = {"small": 1, "medium": 2, "large": 3}
REFUSALS = frozenset({"line_cap", "setup_rate", "inactive", "suspended", "terminated"})
SERVICES = ("beam", "funnel", "funk", "ip")

GAPS_US = st.sampled_from(
    [0, 0, 1, 250_000, 500_000, 999_999, 1_000_000, sec(30), sec(100), HOUR_US]
) | st.integers(0, 3_000_000)
WHICH = st.integers(0, LINES - 1)
STEPS = st.one_of(
    st.tuples(st.just("request"), WHICH, st.sampled_from(SERVICES), st.booleans()),
    st.tuples(st.just("request"), WHICH, st.just("beam"), st.just(True)),
    st.tuples(st.sampled_from(["attach", "attach", "detach", "lost", "cut"]), WHICH),
    st.tuples(st.just("status"), WHICH, st.sampled_from(["active", "inactive", "terminated"])),
    st.tuples(st.just("resize"), st.sampled_from(["small", "medium", "large"])),
    st.tuples(st.just("switch"), st.sampled_from(["inspection", "mirroring"]), st.integers(0, 1)),
    st.tuples(st.just("tick")),
)
RULES = st.fixed_dictionaries(
    {
        "above_line_cap": st.sampled_from(["refuse", "accept_and_flag", "evict_longest_idle"]),
        "above_rate": st.sampled_from(["refuse", "reset"]),
        "recreate_with_fee": st.booleans(),
        "idle_timeout_us": st.sampled_from([0, sec(30), sec(100)]),
        "ghosts_replaced": st.booleans(),
        "session_setup_per_s": st.sampled_from([None, 1]),
        "cut_after_us": st.sampled_from([None, sec(100)]),
    }
)
LIMITERS = st.builds(
    Limiter,
    kind=st.sampled_from(["token_bucket", "fixed_window"]),
    above=st.sampled_from(["reject", "queue"]),
    burst_requests=st.sampled_from([None, 1, 4]),
    queue_deadline_us=st.sampled_from([sec(1), sec(5)]),
)


@dataclass
class Drive:
    """What was done to a core, and what it answered."""

    core: Core
    now_us: int = START_US
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Attaches that were, those of requests included."""

    def do(self, step: tuple[Any, ...]) -> None:
        gateway, now_us = self.core.gateway, self.now_us
        match step:
            case ("request", which, service, first):
                line = self.core.lines[which]
                self.asked[service] += 1
                verdict = gateway.request(line, service, now_us, attach_first=first)
                self.refused += verdict.reason in REFUSALS
                while verdict.outcome == "waiting":
                    # Nothing else happens meanwhile: this drive has one request at a time.
                    self.now_us += verdict.wait_us
                    verdict = gateway.queued(verdict, self.now_us)
                self.answered[verdict.outcome] += 1
                if verdict.outcome == "admitted":
                    told = gateway.finish(
                        line,
                        service,
                        verdict.admitted_us,
                        self.now_us,
                        delivered=True,
                        bytes_up=1,
                        bytes_down=1,
                    )
                    gateway.outbox.append(told)
            case ("attach", which):
                answer = gateway.attach(self.core.lines[which], now_us)
                self.refused += answer.reason in REFUSALS
            case ("detach" | "lost" | "cut" as what, which):
                getattr(gateway, what)(self.core.lines[which], now_us)
            case ("status", which, status):
                gateway.set_status(self.core.lines[which], status, now_us)
            case ("resize", size):
                gateway.resize("v", "C", size, now_us)
            case ("switch", feature, value):
                gateway.switch("v", feature, value, now_us)
            case _:
                gateway.tick(now_us)


def sessions_add_up(events: list[UsageEvent]) -> tuple[int, int]:
    """Check every count of sessions against the events before; return the last."""
    sessions = ghosts = 0
    for one in events:
        if one.type == CREATED:
            sessions += 1
        elif one.type == DELETED:
            sessions -= 1
            ghosts -= one.data.ghost
        elif one.type == MODIFIED:
            ghosts += 1
        else:
            continue
        assert (one.data.sessions, one.data.ghosts) == (sessions, ghosts)
        assert 0 <= ghosts <= sessions
    return sessions, ghosts


def rows_are_kept_apart(events: list[UsageEvent]) -> None:
    """Check that each fact's time is on its own side of every change of size."""
    rows_us = {at_us(events[0])}
    for n, one in enumerate(events):
        config = one.data.config
        if config is None or not config.resized:
            continue
        change_us = at_us(one)
        before = [at_us(other) for other in events[:n] if other.type != CONFIG]
        # A row that has only just begun takes the change in; so does the last instant of an hour.
        if change_us not in rows_us and change_us % HOUR_US and (change_us + 1) % HOUR_US:
            assert all(told_us < change_us for told_us in before)
        assert all(told_us <= change_us for told_us in before)
        assert all(at_us(other) >= change_us for other in events[n:])
        rows_us.add(change_us)


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.tuples(GAPS_US, STEPS), max_size=60),
    rules=RULES,
    limiter=LIMITERS,
)
def test_facts_add_up(
    steps: list[tuple[int, tuple[Any, ...]]], rules: dict[str, Any], limiter: Limiter
) -> None:
    core = Core(LINES, cap=CAP, rate=RATE, rules=rules, limiter=limiter)
    drive = Drive(core)
    for gap_us, step in steps:
        drive.now_us += gap_us
        drive.do(step)
        if rules["above_line_cap"] != "accept_and_flag" and rules["recreate_with_fee"]:
            live = core.gateway.vpg("v")
            assert live.book.count <= CAP * FACTORS[live.state.size]
    core.gateway.flush(drive.now_us)
    events = core.told()
    sessions, ghosts = sessions_add_up(events)
    book = core.gateway.vpg("v").book
    assert (book.count, book.ghosts) == (sessions, ghosts)
    rows_are_kept_apart(events)
    counted: Counter[str] = Counter()
    for one in events:
        if one.type == REQUEST:
            counted["admitted" if one.data.outcome == "accepted" else one.data.outcome] += (
                one.data.requests
            )
    assert +counted == +drive.answered
    assert sum(counted.values()) == sum(drive.asked.values())
    refused = sum(one.data.requests for one in events if one.type == REFUSED)
    assert refused == drive.refused
    ids = [one.id for one in events]
    assert len(set(ids)) == len(ids)
    if rules["idle_timeout_us"] or rules["cut_after_us"]:
        core.gateway.tick(drive.now_us + 2 * sec(100))
        held = core.gateway.vpg("v").book
        assert held.count == (0 if rules["idle_timeout_us"] else held.ghosts)


@settings(max_examples=100, deadline=None)
@given(
    gaps_us=st.lists(GAPS_US, max_size=80),
    kind=st.sampled_from(["token_bucket", "fixed_window"]),
    above=st.sampled_from(["reject", "queue"]),
    burst=st.integers(1, 5),
    rate=st.integers(1, 5),
)
def test_the_limiter_keeps_its_promise_over_all_lines_and_services(
    gaps_us: list[int], kind: Any, above: Any, burst: int, rate: int
) -> None:
    limiter = Limiter(kind=kind, above=above, burst_requests=burst, queue_deadline_us=sec(5))
    state = BillingState(type="C", size="small")
    core = Core(LINES, cap=LINES, rate=rate, limiter=limiter, state=state)
    now_us, slots = START_US, []
    for n, gap_us in enumerate(gaps_us):
        now_us += gap_us
        line, service = core.lines[n % LINES], SERVICES[n % 3]
        verdict = core.gateway.request(line, service, now_us, attach_first=True)
        if verdict.outcome == "admitted":
            slots.append(now_us)
        elif verdict.outcome == "waiting" and not verdict.expires:
            assert verdict.wait_us <= sec(5)
            slots.append(now_us + verdict.wait_us)
    slots.sort()
    for first, begin_us in enumerate(slots):
        for last in range(first, len(slots)):
            count, span_us = last - first + 1, slots[last] - begin_us
            if kind == "token_bucket":
                assert count * 1_000_000 <= burst * 1_000_000 + rate * span_us
            elif begin_us // 1_000_000 == slots[last] // 1_000_000:
                assert count <= rate
