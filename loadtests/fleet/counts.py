"""What a fleet did and heard, counted by itself: the side of the devices.

Owns: these counts and the generator's own lateness. Does not own: the service's counts, or what
both mean together (``loadtests.fleet.judging``). Times: ``*_wall_us`` is this machine's time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vpg.rating.histogram import bucket_of, percentile_us

UNKNOWN_LISTED = 1_000
"""Requests without an answer that are named one by one."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A request that got no answer: carried out, or not."""

    line: str
    service: str
    number: int
    attempt: int
    why: str


@dataclass(slots=True)
class Counts:
    """Everything counted during one run."""

    intended: int = 0
    """Requests that devices meant to send."""
    sent: int = 0
    accepted: int = 0
    throttled: int = 0
    no_session: int = 0
    failed_upstream: int = 0
    bytes_up: int = 0
    """Of accepted requests."""
    bytes_down: int = 0
    unacknowledged: int = 0
    """MQTT: no PUBACK; throttled, failed or without a session, which MQTT does not say."""
    turned_away: int = 0
    """503 for overload or trouble of the store: not counted by the service."""
    unexpected: dict[int, int] = field(default_factory=dict)
    """Any other status → how often."""
    unsent: int = 0
    """Requests that no connection could be had for."""
    unknown: int = 0
    unknowns: list[Unknown] = field(default_factory=list)
    attaches: int = 0
    attaches_created: int = 0
    attaches_refused: int = 0
    """By the line cap."""
    attaches_rejected: int = 0
    acts_failed: int = 0
    """Attaches, cuts and changes of which the service told nothing, or something unexpected."""
    late: dict[int, int] = field(default_factory=dict)
    """Histogram of lateness: from the intended instant to the send, µs of this machine."""

    def left(self, late_wall_us: int) -> None:
        """Count a request as it leaves, so long after it should have."""
        self.sent += 1
        bucket = bucket_of(max(0, late_wall_us))
        self.late[bucket] = self.late.get(bucket, 0) + 1

    def late_wall_us(self, percent: int) -> int:
        """Return the ``percent``-th percentile of lateness."""
        return percentile_us(self.late, percent)

    def beyond(self, late_wall_us: int) -> int:
        """Return how many requests left later than so long after they should have."""
        limit = bucket_of(late_wall_us)
        return sum(count for bucket, count in self.late.items() if bucket > limit)

    def lose(self, unknown: Unknown) -> None:
        """Count a request that got no answer."""
        self.unknown += 1
        if len(self.unknowns) < UNKNOWN_LISTED:
            self.unknowns.append(unknown)
