"""What a data plane tells the control plane: its part of one hourly row, and of the last check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flow:
    """Columns by name, and the delay histogram (bucket → count)."""

    figures: dict[str, int]
    delays: dict[int, int]


@dataclass(frozen=True, slots=True)
class Little:
    """Little's law over one run of one VPG: two counts of the same time, in message·µs, exact.

    A message is open from its creation to the decision that delivers or loses it.
    Source: J. D. C. Little, "A Proof for the Queuing Formula L = λW", Operations Research 9 (1961).
    """

    area_message_us: int
    """Open messages, added up over time: each number of them × how long it was so."""
    sojourn_message_us: int
    """Time from creation to its end (of the run, where still open), added up over messages."""
