"""What the live service asks of its store, whichever it is.

Owns: the protocol and its values. Does not own: any store. Times: every ``*_us`` is ``SimUs``. All
calls block; the hot ones (``stage``, ``sync``, ``undo``, ``commit``) belong to the one writer.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vpg.rating.events import Config, UsageEvent
    from vpg.rating.hourly import HourlyRow
    from vpg.results import RowKey
    from vpg.service.clock import Anchor
    from vpg.service.store.months import Months
    from vpg.service.values import LineEntry, LineStatus, VpgOrder


NEVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)
NEVER_US: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A session that was there when the store was last written."""

    sim_id: str
    vpg_id: str
    created_us: int
    ghost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """What a VPG is from ``at_us`` on; ``late`` is the arrival period (0: in time)."""

    at_us: int
    config: Config
    late: int = 0


@dataclass(slots=True, kw_only=True)
class VpgLife:
    """What the store knows of one VPG; kept up to date by the store, for others to read only."""

    number: int
    vpg_id: str
    operator_id: str
    configs: list[ConfigChange] = field(default_factory=list)
    """In order of time; the first creates the VPG."""
    born_us: int = -1
    """Time of its first config; -1: none yet."""
    born: dt.datetime = NEVER
    """The same instant, for quick comparisons."""
    lives: bool = True
    """False: its end is told."""
    rows_end_us: int = NEVER_US
    """End of the clock hour in which it ended."""
    newest_config_us: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Rows of the hourly metrics, and the histogram of each that has one."""

    rows: tuple[HourlyRow, ...]
    delays: Mapping[RowKey, Mapping[int, int]]


class Store(Protocol):
    """Counts usage events once, durably, and tells what they add up to."""

    months: Months
    """When figures become final."""
    remote: bool
    """Every statement waits for another machine or process, not for the disk alone."""

    def commit(self, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        """Count ``events`` that arrived at ``now_us`` in one transaction: ``stage``, ``sync``.

        Returns ``COUNTED`` or ``CONFLICT`` for each. Raises ``StoreTroubleError``; then nothing is
        kept.
        """

    def stage(self, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        """Do all but the commit; ``sync`` or ``undo`` must follow."""

    def sync(self) -> None:
        """Commit what is staged: durable on return. May be called in another thread."""

    def undo(self) -> None:
        """Forget what is staged."""

    def begin_life(self) -> int:
        """Return the number of this start, one more than the last (for ``vpg.service.keys``)."""

    def anchor(self) -> Anchor | None:
        """Return where service time begins, if that was ever set."""

    def set_anchor(self, anchor: Anchor) -> None:
        """Keep where service time begins."""

    def put_vpgs(self, orders: Sequence[VpgOrder]) -> None:
        """Register VPGs, or keep their new orders; what they are comes from config events."""

    def vpgs(self) -> list[VpgOrder]:
        """Return every registered VPG, by id."""

    def life(self, vpg_id: str, /) -> VpgLife | None:
        """Return what is known of a VPG; None: never registered. Fast."""

    def configs(self, vpg_id: str) -> list[ConfigChange]:
        """Return the VPG's configs in order of time."""

    def lives(self) -> list[VpgLife]:
        """Return what is known of every VPG, by id."""

    def put_lines(self, entries: Sequence[LineEntry]) -> None:
        """Register lines, or replace what is known of them."""

    def lines(self) -> list[LineEntry]:
        """Return every line, by ``sim_id``."""

    def line(self, sim_id: str, /) -> LineEntry | None:
        """Return one line. Fast."""

    def change_line(self, sim_id: str, status: LineStatus, at_us: int) -> None:
        """Note a line's new status, and since when."""

    def sessions(self) -> list[LiveSession]:
        """Return the sessions that live, by ``sim_id``."""

    def hourly(
        self,
        vpg_ids: Sequence[str] | None,
        from_us: int,
        until_us: int,
        now_us: int,
        *,
        late_until: int | None = None,
    ) -> Hours:
        """Return the rows of clock hours that touch [from, until), of what exists up to ``now_us``.

        ``vpg_ids`` None: all. ``late_until``: as known when that month (its first
        instant) became final; None: everything.
        """

    def late_months(self, period_us: int) -> list[int]:
        """Return the months (first instants) of which something came in an arrival period."""

    def refresh(self) -> None:
        """Learn what other processes behind the same store have changed of VPGs and lines."""

    def forget(self, now_us: int, steps: int = 1) -> int:
        """Remove keys that need no longer be kept, a bounded number of rows; return how many."""

    def ping(self) -> None:
        """Raise ``StoreTroubleError`` unless the store can be written to."""

    def close(self) -> None:
        """Let go of the store; what is staged is undone."""
