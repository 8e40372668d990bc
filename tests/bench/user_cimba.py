"""The bench's workload as a user of cimba would write it: a model class that cimba compiles.

The same as ``user_simpy``: devices report each minute with a jitter; one token bucket, whose burst
is one second, refuses what is above its rate; a refused message is tried again at most 5 times. A
device waits for its own retries, which are over long before its next report: cheaper than a process
for each. It shares nothing with the product. Importing it needs cimba, which only the development
environment has.
"""

from __future__ import annotations

from dataclasses import dataclass

import cimba as cb
from cimba import random

from tests.bench.user_simpy import FIRST_BACKOFF_S, PERIOD_S, RETRIES_MAX

HALF, DOUBLE = 0.5, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What happened."""

    messages: int
    attempts: int
    accepted: int
    lost: int
    delay_s_sum: float


class Gateway(cb.Model):
    """The bucket and the counts."""

    spread: cb.Param[bool] = True
    jitter_s: cb.Param[float] = 5.0
    rate_per_s: cb.Param[float] = 30.0
    tokens: float = 0.0
    last_s: float = 0.0
    messages: cb.Output[int]
    attempts: cb.Output[int]
    accepted: cb.Output[int]
    lost: cb.Output[int]
    delay_s_sum: cb.Output[float]

    @cb.on_start
    def begin(self) -> None:
        self.tokens = self.rate_per_s
        self.messages = 0
        self.attempts = 0
        self.accepted = 0
        self.lost = 0
        self.delay_s_sum = 0.0

    @cb.function
    def admit(self) -> bool:
        now_s = cb.now()
        self.attempts += 1
        self.tokens = min(self.rate_per_s, self.tokens + (now_s - self.last_s) * self.rate_per_s)
        self.last_s = now_s
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            self.accepted += 1
            return True
        return False


class Fleet:
    """``devices`` of them on one gateway."""

    def __init__(self, *, devices: int, spread: bool, jitter_s: float, rate_per_s: float) -> None:
        """Declare the model; cimba compiles it at the first run and keeps it in memory."""

        class Devices(Gateway):
            # The number of processes is part of what is compiled.
            @cb.process(copies=devices)
            def device(self) -> None:
                tick_s = 0.0
                if self.spread:
                    tick_s = random.uniform(0.0, PERIOD_S)
                while True:
                    cb.hold(tick_s + random.uniform(0.0, self.jitter_s) - cb.now())
                    created_s = cb.now()
                    self.messages += 1
                    backoff_s = FIRST_BACKOFF_S
                    admitted = self.admit()
                    for _ in range(RETRIES_MAX):
                        if admitted:
                            break
                        cb.hold(backoff_s * random.uniform(HALF, HALF + 1.0))
                        backoff_s *= DOUBLE
                        admitted = self.admit()
                    if admitted:
                        self.delay_s_sum += cb.now() - created_s
                    else:
                        self.lost += 1
                    tick_s += PERIOD_S

        self._model = Devices()
        self._model.spread = spread
        self._model.jitter_s = jitter_s
        self._model.rate_per_s = rate_per_s

    def simulate(self, *, hours: float, seed: int) -> Counts:
        """Run the fleet on one thread."""
        window = cb.Window(duration=hours * 3600.0)
        found = cb.Experiment(self._model, window=window, seed=seed).run(workers=1)[self._model]

        def of(name: str) -> float:
            return float(getattr(found, name).values[0, 0])

        return Counts(
            messages=int(of("messages")),
            attempts=int(of("attempts")),
            accepted=int(of("accepted")),
            lost=int(of("lost")),
            delay_s_sum=of("delay_s_sum"),
        )
