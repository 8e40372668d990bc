"""The bench's workload as a user of SimPy would write it: floats, ``random``, processes.

Devices report each minute with a jitter; one token bucket, whose burst is one second, refuses what
is above its rate; a refused message is tried again at most 5 times, after 1, 2, 4, 8 and 16
s, each ± 50 %. It shares nothing with the product: it is what the reference plane's speed is
measured against.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import simpy

if TYPE_CHECKING:
    from collections.abc import Generator

PERIOD_S = 60.0
JITTER_S = 5.0
RATE_PER_S = 30.0
RETRIES_MAX = 5
FIRST_BACKOFF_S = 1.0


@dataclass(slots=True)
class Counts:
    """What happened."""

    messages: int = 0
    attempts: int = 0
    accepted: int = 0
    lost: int = 0
    delay_s_sum: float = 0.0
    delay_s_max: float = 0.0


class TokenBucket:
    """A token bucket that refuses."""

    def __init__(self, env: simpy.Environment, rate_per_s: float) -> None:
        self.env = env
        self.rate_per_s = rate_per_s
        self.tokens = rate_per_s
        self.last_s = env.now

    def admit(self) -> bool:
        now_s = self.env.now
        self.tokens = min(self.rate_per_s, self.tokens + (now_s - self.last_s) * self.rate_per_s)
        self.last_s = now_s
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return True
        return False


def send(bucket: TokenBucket, counts: Counts, created_s: float) -> bool:
    counts.attempts += 1
    if not bucket.admit():
        return False
    delay_s = bucket.env.now - created_s
    counts.accepted += 1
    counts.delay_s_sum += delay_s
    counts.delay_s_max = max(counts.delay_s_max, delay_s)
    return True


def retry(
    env: simpy.Environment, bucket: TokenBucket, counts: Counts
) -> Generator[simpy.Event, Any, None]:
    created_s = env.now
    backoff_s = FIRST_BACKOFF_S
    for _ in range(RETRIES_MAX):
        yield env.timeout(backoff_s * random.uniform(0.5, 1.5))
        if send(bucket, counts, created_s):
            return
        backoff_s *= 2
    counts.lost += 1


def device(
    env: simpy.Environment, bucket: TokenBucket, counts: Counts, phase_s: float, jitter_s: float
) -> Generator[simpy.Event, Any, None]:
    tick_s = phase_s
    while True:
        yield env.timeout(tick_s + random.uniform(0.0, jitter_s) - env.now)
        counts.messages += 1
        if not send(bucket, counts, env.now):
            env.process(retry(env, bucket, counts))
        tick_s += PERIOD_S


def simulate(
    *,
    devices: int,
    hours: float,
    spread: bool,
    seed: int,
    jitter_s: float = JITTER_S,
    rate_per_s: float = RATE_PER_S,
) -> Counts:
    """Run the fleet; ``spread``: each device has its own phase, else all tick together."""
    random.seed(seed)
    env = simpy.Environment()
    bucket = TokenBucket(env, rate_per_s)
    counts = Counts()
    for _ in range(devices):
        phase_s = random.uniform(0.0, PERIOD_S) if spread else 0.0
        env.process(device(env, bucket, counts, phase_s, jitter_s))
    env.run(until=hours * 3600.0)
    return counts
