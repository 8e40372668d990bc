"""The data plane's part of one hourly row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flow:
    """Columns by name, and the delay histogram (bucket → count)."""

    figures: dict[str, int]
    delays: dict[int, int]
