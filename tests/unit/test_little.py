"""Little's law as a guard: both books by hand, and that each kind of error is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenarios.model import Limiter
from sim import run as sim_run
from sim.control import Control
from sim.plane.flow import Little
from sim.plane.gateway import Gateway
from sim.plane.line import Line
from sim.plane.reference import ReferencePlane
from sim.run import BrokenRunError
from tests.support_sim import fixed, fleet, limits, run, scenario, sec, trace, vpg

if TYPE_CHECKING:
    from scenarios.model import Scenario
    from sim.plane.message import Message

QUEUES = Limiter(above="queue", burst_requests=1, queue_deadline_us=sec(60))
PER_SECOND = limits(rate_per_s_c_small=1)


def waiting_line(end_s: float = 3600) -> Scenario:
    """Three messages at the tenth second, one a second through: they wait 0, 1 and 2 s."""
    together = fleet("f", trace((10, 0), (10, 1), (10, 2)), lines=3)
    return scenario(together, vpgs=(vpg(limiter=QUEUES),), hours=end_s / 3600)


def books(what: Scenario) -> Little:
    plane = ReferencePlane(scenario=what)
    Control(scenario=what, catalogue=PER_SECOND, plane=plane).run(None, None)
    return plane.little("v")


def test_both_books_of_a_queue_are_what_a_hand_counts() -> None:
    assert books(waiting_line()) == Little(sec(3), sec(3))


def test_messages_still_open_at_the_end_count_up_to_there() -> None:
    # At 11.5 s the second has gone after 1 s, and the third has waited 1.5 s.
    assert books(waiting_line(11.5)) == Little(sec(2.5), sec(2.5))


def test_waiting_for_a_retry_counts_and_a_message_through_at_once_takes_no_time() -> None:
    refusing = vpg(limiter=Limiter(burst_requests=1))
    twice = fleet("f", trace((10, 0), (10, 1)), lines=2, retry=fixed(5, 3))
    assert books(scenario(twice, vpgs=(refusing,))) == Little(sec(5), sec(5))


def test_a_message_counted_open_late_breaks_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Gateway.count_pending

    def late(self: Gateway, change: int, now_us: int) -> None:
        right(self, change, now_us + (change > 0))

    monkeypatch.setattr(Gateway, "count_pending", late)
    with pytest.raises(BrokenRunError, match=r"Little's law: 2999998 .* != 3000000"):
        run(waiting_line(), PER_SECOND)


def test_a_forgotten_stay_breaks_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Line._close

    def forgetful(self: Line, message: Message) -> None:
        before_us = self.gateway.sojourn_message_us
        right(self, message)
        if self.index == 1:
            self.gateway.sojourn_message_us = before_us

    monkeypatch.setattr(Line, "_close", forgetful)
    with pytest.raises(BrokenRunError, match=r"3000000 .* != 2000000") as broken:
        run(waiting_line(), PER_SECOND)
    assert (broken.value.result.status, len(broken.value.result.rows)) == ("partial", 1)


def test_every_vpg_of_the_run_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Listening(ReferencePlane):
        def little(self, vpg_id: str) -> Little:
            asked.append(vpg_id)
            return Little(1, 1)

    monkeypatch.setattr(sim_run, "ReferencePlane", Listening)
    run(scenario(vpgs=(vpg("b"), vpg("a")), hours=3))
    assert asked == ["a", "b"]
