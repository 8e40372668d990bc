"""One look at the running service: for the live view.

Owns: the values, and what an hour and a month cost so far. Does not own: how they are shown
(``vpg.cli.watching``). Amounts are micro-yen, tax excluded. Times: ``SimUs``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.timebase import hour_start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpg.rating.charges import ChargeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What is owed so far; ``unpriced``: something in it has no price."""

    micro_yen: int
    unpriced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VpgView:
    """One VPG against its limits; a limit of None: there is none."""

    vpg_id: str
    type: str
    size: str
    rate_per_s: int
    """Limited requests of the last whole UTC second."""
    rate_max_per_s: int | None
    lines: int
    """Sessions, ghosts included."""
    lines_max: int | None
    hour: Amount | None
    """Of the running clock hour; None: not known yet, like ``month``."""
    month: Amount | None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The service at one instant."""

    now_us: int
    scale: int
    vpgs: tuple[VpgView, ...]
    events: int
    """Counted since the process began."""
    commits: int
    waiting: int
    healthy: bool


def owed(charges: Iterable[ChargeRow], now_us: int) -> dict[str, tuple[Amount, Amount]]:
    """Return VPG → (this hour's, all) of ``charges``, those of the running month."""
    hour_us = hour_start(now_us)
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    unpriced: dict[str, list[bool]] = defaultdict(lambda: [False, False])
    for row in charges:
        places = (0, 1) if row.hour_start_us == hour_us else (1,)
        for place in places:
            if row.amount_micro_yen is None:
                unpriced[row.vpg_id][place] = True
            else:
                sums[row.vpg_id][place] += row.amount_micro_yen
    return {
        vpg_id: (
            Amount(micro_yen=sums[vpg_id][0], unpriced=unpriced[vpg_id][0]),
            Amount(micro_yen=sums[vpg_id][1], unpriced=unpriced[vpg_id][1]),
        )
        for vpg_id in sums.keys() | unpriced.keys()
    }
