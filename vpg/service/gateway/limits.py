"""The request limiter of one live VPG: state around ``vpg.gateway.limiter``.

Owns: the buckets or windows of a VPG, one or one a service (A-05). Does not own: the rule
(``vpg.gateway.limiter``) or the figures (``vpg.catalogue``). Times: ``SimUs``; tokens in
1/1,000,000 request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpg.gateway import limiter
from vpg.rating.hourly import LIMITED_SERVICES
from vpg.timebase import SECOND_US

if TYPE_CHECKING:
    from vpg.service.values import Limiter, Rules

ADMITTED: Final = 0
FLAGGED: Final = 1
REFUSED: Final = 2
FULL: Final = 3
"""Refused because the limiter's queue is full."""
WAITS: Final = 4
EXPIRES: Final = 5
"""In the queue until its deadline, in vain."""


class Bucket:
    """State of one instance: (tokens_micro, last_us), or (window_s, used) of fixed windows."""

    __slots__ = ("a", "b")

    def __init__(self, a: int, b: int) -> None:
        """Begin with ``a`` and ``b``."""
        self.a = a
        self.b = b


class LiveLimiter:
    """The limiter of one VPG."""

    __slots__ = (
        "_bucketed",
        "_deadline_us",
        "_flags",
        "_order",
        "_queue_max",
        "_queues",
        "_resets",
        "_setup",
        "_setup_rate",
        "buckets",
        "burst",
        "cost",
        "rate",
    )

    def __init__(self, order: Limiter, rules: Rules, rate: int | None, now_us: int) -> None:
        """Begin at ``now_us``, full; ``rate``: requests a second, None: uncapped."""
        self._order = order
        self._bucketed = order.kind == "token_bucket"
        self._flags = rules.above_rate == "accept_and_flag"
        self._resets = rules.above_rate == "reset"
        self._queues = order.above == "queue" and not self._flags
        self._deadline_us = order.queue_deadline_us
        most = order.queue_requests_max
        self._queue_max = limiter.NO_QUEUE_MAX if most is None else most
        self.cost = [2 if rules.beam_both_legs and s == "beam" else 1 for s in LIMITED_SERVICES]
        self.rate = rate or 0
        """Requests a second; 0: uncapped."""
        self.burst = order.burst_requests or self.rate
        state = (limiter.bucket_full(self.burst), now_us)
        if not self._bucketed:
            state = (limiter.NO_WINDOW, 0)
        shared = Bucket(*state)
        self.buckets = [shared if rules.rate_shared else Bucket(*state) for _ in LIMITED_SERVICES]
        self._setup_rate = rules.session_setup_per_s or 0
        self._setup = Bucket(limiter.bucket_full(self._setup_rate), now_us)

    def resize(self, rate: int | None, now_us: int) -> None:
        """Take another rate; tokens are kept, capped to the new burst."""
        old_rate, old_burst = self.rate, self.burst
        self.rate = rate or 0
        self.burst = self._order.burst_requests or self.rate
        if not self._bucketed:
            return
        for bucket in {id(one): one for one in self.buckets}.values():
            if old_rate and self.rate:
                bucket.a, bucket.b = limiter.bucket_resize(
                    bucket.a, bucket.b, now_us, old_rate, old_burst, self.rate, self.burst
                )
            else:
                bucket.a, bucket.b = limiter.bucket_full(self.burst), now_us

    def ask(self, service: int, now_us: int) -> tuple[int, int]:
        """Ask for one attempt of a VPG with a rate; return (decision, µs to wait)."""
        bucket = self.buckets[service]
        cost = self.cost[service]
        if self._queues:
            return self._ask_queue(bucket, cost, now_us)
        if self._bucketed:
            bucket.a, bucket.b, admitted = limiter.bucket_admit(
                bucket.a, bucket.b, now_us, self.rate, self.burst, cost
            )
        else:
            bucket.a, bucket.b, admitted = limiter.window_admit(
                bucket.a, bucket.b, now_us, self.rate, cost
            )
        if admitted:
            return ADMITTED, 0
        return (FLAGGED, 0) if self._flags else (REFUSED, 0)

    def _ask_queue(self, bucket: Bucket, cost: int, now_us: int) -> tuple[int, int]:
        deadline_us = self._deadline_us
        if self._bucketed:
            bucket.a, bucket.b, wait_us = limiter.bucket_enqueue(
                bucket.a,
                bucket.b,
                now_us,
                self.rate,
                self.burst,
                cost,
                deadline_us,
                self._queue_max,
            )
        else:
            bucket.a, bucket.b, wait_us = limiter.window_enqueue(
                bucket.a, bucket.b, now_us, self.rate, cost, deadline_us, self._queue_max
            )
        if wait_us == 0:
            return ADMITTED, 0
        if wait_us > 0:
            return WAITS, wait_us
        return (EXPIRES, deadline_us) if wait_us == limiter.EXPIRES else (FULL, 0)

    def retry_after_us(self, service: int, now_us: int) -> int:
        """Return what a refusal asks the device to wait: whole seconds in µs; 0: nothing said."""
        if self._resets or not self.rate:
            return 0
        bucket = self.buckets[service]
        if self._bucketed:
            wait_us = limiter.bucket_retry_after_us(bucket.a, self.rate, self.cost[service])
            # An attempt that expired in the queue hears of it later than the bucket's last change.
            wait_us = max(0, wait_us - (now_us - bucket.b))
        else:
            wait_us = limiter.window_retry_after_us(now_us)
        return limiter.retry_after_s(wait_us) * SECOND_US

    def tokens_micro(self, now_us: int) -> int | None:
        """Return the least tokens of the buckets; None where there are none."""
        if not (self._bucketed and self.rate):
            return None
        full = limiter.bucket_full(self.burst)
        return min(min(full, one.a + self.rate * max(now_us - one.b, 0)) for one in self.buckets)

    # ---- setting up sessions (A-18) ------------------------------------------------------------

    def setup_wait_us(self, now_us: int) -> int:
        """Take the token of one session's set-up: 0; or return how long until there is one."""
        rate = self._setup_rate
        if not rate:
            return 0
        state = self._setup
        state.a, state.b, admitted = limiter.bucket_admit(state.a, state.b, now_us, rate, rate, 1)
        return 0 if admitted else limiter.bucket_retry_after_us(state.a, rate, 1)
