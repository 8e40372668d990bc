"""Walking a schedule: each request leaves at its intended time, whether or not others are answered.

Owns: the waiting, the three times of each request (intended, sent, done) and this process's result.
Does not own: requests (``rating_run``, ``gateway_run``) or connections (``pool``). Times: ns of
``perf_counter``; the load begins at an instant of this process's own.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from loadtests.gateway_run import GatewaySource
from loadtests.histogram import Histogram
from loadtests.pool import NO_ANSWER, NOT_SENT, Job, Pool
from loadtests.rating_run import RatingSource
from loadtests.result import ENDINGS, Ending, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.plan import LoadPlan
    from loadtests.pool import Address
    from loadtests.result import Tally
    from loadtests.schedule import Schedule

LEAD_S: Final = 0.2
"""From the process's readiness to its first intended send."""
_NS: Final = 1_000_000_000
_NS_PER_US: Final = 1_000
_YIELD_EVERY: Final = 8
"""Sends in a row, when behind, before others may run."""
_POLL_S: Final = 0.001
_WORDS: Final = {NO_ANSWER: "none", NOT_SENT: "not_sent"}


class Source(Protocol):
    """Where requests come from, and who understands their answers."""

    name: str
    unexpected: list[str]

    def request(self, slot: int) -> tuple[Address, bytes]:
        """Return where the request goes and its bytes."""

    def leaving(self, slot: int) -> None:
        """Note that it leaves now."""

    def ended(self, slot: int, status: int, body: bytes) -> Ending:
        """Take its answer."""

    def tallies(self) -> list[Tally]:
        """Return what is known to be counted."""

    def unknown(self) -> list[int]:
        """Return the numbers of what may be counted."""

    def counts(self) -> dict[str, int]:
        """Return further figures of the result."""


class Walk:
    """One process's share of a load, from its first send to its last answer."""

    def __init__(
        self,
        plan: LoadPlan,
        schedule: Schedule,
        index: int,
        told: Callable[[str, float, int, str], None],
    ) -> None:
        """Prepare; ``told`` hears of each request: name, ms from intended, bytes, what failed."""
        self._share = schedule.share(index, plan.processes)
        make: type[RatingSource | GatewaySource]
        make = RatingSource if plan.kind == "rating" else GatewaySource
        self._source: Source = make(plan, self._share, index)
        self._plan = plan
        self._index = index
        self._told = told
        self._answers: Counter[str] = Counter()
        self._latency_us = {ending: array("q") for ending in ENDINGS}
        self._service_us = array("q")
        self._lateness_us = array("q")
        self._sent = self._waits = 0
        self.stop = False
        """Set by whoever wants it to end early."""

    def end(self) -> None:
        """Send nothing more."""
        self.stop = True

    def run(self, began: Callable[[], None]) -> Result:
        """Send everything, wait for the answers, return what was measured; ``began``: now."""
        most = -(-self._plan.connections_max // self._plan.processes)
        pool = Pool(most=most, timeout_s=self._plan.timeout_s, ended=self._ended)
        began()
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        try:
            self._send_all(pool, wall_ns + int(LEAD_S * _NS))
            until_ns = time.perf_counter_ns() + pool.timeout_ns + _NS
            while pool.under_way and time.perf_counter_ns() < until_ns:
                time.sleep(_POLL_S)
        finally:
            pool.close()
        cpu_ns = time.process_time_ns() - cpu_ns
        wall_ns = time.perf_counter_ns() - wall_ns
        while pool.under_way and time.perf_counter_ns() < until_ns + _NS:
            time.sleep(_POLL_S)  # Those just cut.
        return self._result(pool, cpu_ns, wall_ns)

    def _send_all(self, pool: Pool, begin_ns: int) -> None:
        behind = 0
        for slot, offset_us in enumerate(self._share.offsets_us.tolist()):
            address, data = self._source.request(slot)
            intended_ns = begin_ns + offset_us * _NS_PER_US
            left_ns = intended_ns - time.perf_counter_ns()
            behind = 0 if left_ns > 0 else behind + 1
            while left_ns > 0:
                time.sleep(left_ns / _NS)
                left_ns = intended_ns - time.perf_counter_ns()
            if behind >= _YIELD_EVERY:
                behind = 0
                time.sleep(0)
            if pool.full:
                self._waits += 1
                while pool.full and not self.stop:
                    time.sleep(_POLL_S)
            if self.stop:
                return
            self._source.leaving(slot)
            self._sent += 1
            self._lateness_us.append((time.perf_counter_ns() - intended_ns) // _NS_PER_US)
            pool.send(slot, address, data, intended_ns)

    def _ended(self, job: Job, status: int, body: bytes) -> None:
        now_ns = time.perf_counter_ns()
        ending = self._source.ended(job.slot, status, body)
        latency_ns = now_ns - job.intended_ns
        self._latency_us[ending].append(latency_ns // _NS_PER_US)
        self._service_us.append((now_ns - job.sent_ns) // _NS_PER_US)
        word = _WORDS.get(status) or str(status)
        self._answers[word] += 1
        failed = "" if ending == "accepted" else f"no answer ({word})" if status <= 0 else word
        self._told(self._source.name, latency_ns / 1e6, len(body), failed)

    def _result(self, pool: Pool, cpu_ns: int, wall_ns: int) -> Result:
        return Result(
            index=self._index,
            intended=len(self._share),
            sent=self._sent,
            pool_waits=self._waits,
            pool_peak=pool.peak,
            cpu_ns=cpu_ns,
            wall_ns=wall_ns,
            answers=dict(self._answers),
            latency={ending: _encoded(values) for ending, values in self._latency_us.items()},
            service_time=_encoded(self._service_us),
            lateness=_encoded(self._lateness_us),
            tallies=tuple(self._source.tallies()),
            unknown=tuple(self._source.unknown()),
            unexpected=tuple(self._source.unexpected),
            **self._source.counts(),
        )


def _encoded(values_us: array[int]) -> str:
    histogram = Histogram()
    histogram.record(values_us)
    return histogram.text()
