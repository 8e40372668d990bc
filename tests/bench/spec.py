"""What one workload of the bench is: the numbers every program that runs it agrees on.

Lines report each minute with a jitter; the VPG's token bucket (its burst is one second) refuses
what is above its rate; a refused message is tried again at most 5 times, after 1, 2, 4, 8 and 16 s,
each ± 50 %. Times: seconds and hours, as people say them.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

SEED = 20260401
PERIOD_S = 60
RATE_PER_S = {"small": 30, "medium": 90, "large": 300}
Phase = Literal["uniform", "clock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A fleet on each VPG, all alike; ``phase``: lines at their own times, or all on the clock."""

    lines: int = 1_000
    """Of each VPG."""
    hours: float = 24
    vpgs: int = 1
    size: str = "small"
    phase: Phase = "uniform"
    jitter_s: float = 5
    workers: int = 1
    seed: int = SEED

    @property
    def all_lines(self) -> int:
        return self.lines * self.vpgs

    @property
    def messages(self) -> float:
        """Messages due; a line's ticks at either end may fall in or out by their jitter."""
        return self.all_lines * self.hours * 3600 / PERIOD_S

    def scenario(self) -> str:
        """Return the workload as a scenario file."""
        names = [f"v{number}" for number in range(1, self.vpgs + 1)]
        return "\n".join(
            [
                "vpgsim: 1",
                "name: bench",
                "start: 2026-04-01T09:00:00+09:00",
                f"duration_h: {self.hours}",
                f"seed: {self.seed}",
                "vpgs:",
                *(f"  - {{id: {name}, type: C, size: {self.size}}}" for name in names),
                "fleets:",
                *(self._fleet(name) for name in names),
                "",
            ]
        )

    def _fleet(self, vpg: str) -> str:
        retry = "base_s: 1, factor: 2, cap_s: 16, tries_max: 5, jitter_percent: 50"
        source = f"kind: periodic, every_s: {PERIOD_S}, jitter_s: {self.jitter_s}"
        return "\n".join(
            [
                f"  - name: meters-{vpg}",
                f"    vpg: {vpg}",
                f"    lines: {self.lines}",
                "    session: {attach: at_start}",
                f"    retry: {{{retry}, retry_after: false}}",
                "    traffic:",
                f"      - {{{source}, phase: {self.phase}}}",
            ]
        )

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))
