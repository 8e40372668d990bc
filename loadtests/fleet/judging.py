"""Whether devices and store agree on what happened.

Owns: the comparison of one fleet run. Does not own: the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.rating.hourly import OUTCOMES, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.fleet.counts import Counts
    from vpg.rating.hourly import HourlyRow

COMPARED = (*OUTCOMES, "bytes_up", "bytes_down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One figure, told by the devices and by the store."""

    figure: str
    devices: int
    stored: int
    unknown: int
    """How many more the store may have: requests whose answer nobody heard."""

    @property
    def holds(self) -> bool:
        """Whether devices ≤ stored ≤ devices + unknown."""
        return self.devices <= self.stored <= self.devices + self.unknown


def stored(rows: Iterable[HourlyRow]) -> dict[str, int]:
    """Return what the store counted in ``rows``."""
    found = dict.fromkeys(COMPARED, 0)
    for row in rows:
        for outcome in OUTCOMES:
            found[outcome] += sum(int(getattr(row, f"{outcome}_{name}")) for name in SERVICES)
        found["bytes_up"] += row.bytes_up
        found["bytes_down"] += row.bytes_down
    return found


def agreements(
    counts: Counts, before: dict[str, int], after: dict[str, int], *, bytes_max: int
) -> list[Agreement]:
    """Return the comparison of every figure; ``bytes_max``: of the largest message."""
    unheard = counts.unknown + counts.unacknowledged
    return [
        Agreement(
            figure=name,
            devices=getattr(counts, name),
            stored=after[name] - before[name],
            unknown=unheard * (bytes_max if name.startswith("bytes_") else 1),
        )
        for name in COMPARED
    ]
