"""What the second simulator is made of: messages, lines, and a VPG's limiter of its own."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from vpg.timebase import SECOND_US

if TYPE_CHECKING:
    from scenarios.model import (
        Fleet,
        Vpg,
    )
    from vpg.catalogue.model import Catalogue


@dataclass(slots=True)
class Message:
    created_us: int
    source: str
    service: str
    number: int
    up: int
    down: int
    tries: int = 0

    def age(self) -> tuple[int, str, int]:
        return self.created_us, self.source, self.number


@dataclass(slots=True, eq=False)
class SessionAtVpg:
    seen_us: int
    line: Line
    ghost: bool = False
    gone: bool = False


@dataclass(slots=True, eq=False)
class Line:
    fleet: Fleet
    rank: int
    number: int
    gate: Gate
    belief: str = "idle"
    gave_up: bool = False
    powers_off: int = 0
    radios_off: int = 0
    session: SessionAtVpg | None = None
    parked: list[Message] = field(default_factory=list)
    """Waiting for a session."""
    backlog: deque[Message] = field(default_factory=deque)
    """Waiting for the one in flight (hold)."""
    holder: Message | None = None
    """The one in flight (hold, drop), until the answer to it is there."""
    open: dict[int, Message] = field(default_factory=dict)
    attach_serial: int = 0
    attach_tries: int = 0
    attach_first_us: int = 0

    @property
    def single(self) -> bool:
        return self.fleet.outstanding != "independent"

    @property
    def room(self) -> bool:
        return len(self.parked) + len(self.backlog) < self.fleet.buffer_messages


class Gate:
    """One VPG."""

    def __init__(self, vpg: Vpg, catalogue: Catalogue, idle_us: int) -> None:
        cap = catalogue.limits(vpg.type, vpg.size, vpg.created_at_us)
        self.vpg = vpg
        self.cap = cap.lines_max if cap.lines_max is not None else 1 << 60
        self.rate = cap.rate_per_s if cap.rate_per_s is not None else 1 << 30
        self.burst = vpg.limiter.burst_requests or self.rate
        self.idle_us = idle_us
        self.sessions: set[SessionAtVpg] = set()
        self.level = Fraction(self.burst)
        self.level_at_us = 0
        self.taken: Counter[int] = Counter()
        self.promised: deque[int] = deque()
        self.down: Counter[str] = Counter()
        self.slow: Counter[str] = Counter()

    def admit(self, now_us: int) -> tuple[int, int]:
        """Return (wait in µs, 0); (-1, µs to a token) when refused; (-2, 0) when it will expire."""
        limiter = self.vpg.limiter
        if limiter.kind == "fixed_window":
            return self._window(now_us)
        gap = Fraction(max(0, now_us - self.level_at_us), SECOND_US)
        level = min(Fraction(self.burst), self.level + gap * self.rate)
        if level >= 1:
            self.level, self.level_at_us = level - 1, now_us
            return 0, 0
        self.level, self.level_at_us = level, now_us
        missing = (1 - level) / self.rate * SECOND_US
        wait_us = -(-missing.numerator // missing.denominator)
        if limiter.above == "reject":
            return -1, wait_us
        while self.promised and self.promised[0] <= now_us:
            self.promised.popleft()
        if (
            limiter.queue_requests_max is not None
            and len(self.promised) >= limiter.queue_requests_max
        ):
            return -1, wait_us
        if wait_us > limiter.queue_deadline_us:
            return -2, 0
        # At its slot the bucket may have no room for what refills up to the whole microsecond.
        at_slot = min(Fraction(self.burst), level + Fraction(wait_us, SECOND_US) * self.rate)
        self.level = at_slot - 1 - Fraction(wait_us, SECOND_US) * self.rate
        self.promised.append(now_us + wait_us)
        return wait_us, 0

    def retry_after_us(self, now_us: int) -> int:
        """Return how long until a new attempt would be admitted, if nobody else came."""
        if self.vpg.limiter.kind == "fixed_window":
            return SECOND_US - now_us % SECOND_US
        missing = 1 - self.level - Fraction(now_us - self.level_at_us, SECOND_US) * self.rate
        wait_us = max(missing, Fraction(0)) / self.rate * SECOND_US
        return -(-wait_us.numerator // wait_us.denominator)

    def _window(self, now_us: int) -> tuple[int, int]:
        limiter = self.vpg.limiter
        second = now_us // SECOND_US
        if limiter.above == "reject":
            if self.taken[second] < self.rate:
                self.taken[second] += 1
                return 0, 0
            return -1, (second + 1) * SECOND_US - now_us
        slot = second
        while self.taken[slot] >= self.rate:
            slot += 1
        wait_us = max(0, slot * SECOND_US - now_us)
        while self.promised and self.promised[0] <= now_us:
            self.promised.popleft()
        if wait_us:
            if (
                limiter.queue_requests_max is not None
                and len(self.promised) >= limiter.queue_requests_max
            ):
                return -1, (second + 1) * SECOND_US - now_us
            if wait_us > limiter.queue_deadline_us:
                return -2, 0
            self.promised.append(now_us + wait_us)
        self.taken[slot] += 1
        return wait_us, 0
