"""What SQLite and PostgreSQL each do in their own way, and the transaction around it.

Owns: the transaction (begin, sync, undo), who may be in it, and what is kept in memory of VPGs,
lines and sources. Does not own: what is written (``registry.py``, ``sql.py``) or connections
(``sqlite.py``, ``postgres.py``). Times: ``SimUs``.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from vpg.billing.calendar import BusinessCalendar
from vpg.rating.events import Config
from vpg.service.ports import StoreTroubleError
from vpg.service.store import tables
from vpg.service.store.base import ConfigChange, VpgLife
from vpg.service.store.months import Months
from vpg.service.values import LineEntry
from vpg.timebase import HOUR_US, hour_start, to_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from vpg.rating.counting import Fact
    from vpg.service.values import LineStatus

    Row = tuple[Any, ...]

_config = msgspec.json.Decoder(Config)


class Driver(ABC):
    """One transaction at a time, and what is known of the tables."""

    remote: bool = False

    def __init__(self, *, calendar: BusinessCalendar | None = None, sync_delay_us: int = 0) -> None:
        """Begin with empty memory; ``sync_delay_us`` is added to every commit (a slow disk)."""
        self.months = Months(BusinessCalendar() if calendar is None else calendar)
        self.sync_delay_us = sync_delay_us
        self._busy = threading.Lock()
        """Held from a transaction's begin to its end, which may be in another thread."""
        self._lives: dict[str, VpgLife] = {}
        self._by_number: dict[int, VpgLife] = {}
        self._lines: dict[str, LineEntry] = {}
        self.life: Callable[[str], VpgLife | None] = self._lives.get
        """What is known of a VPG, by its id."""
        self.line: Callable[[str], LineEntry | None] = self._lines.get
        """One line, by its ``sim_id``."""
        self._sources: dict[tuple[str, str], int] = {}
        """(operator, source) → number: what one operator names is no other's business."""
        self._resized: dict[int, list[int]] = {}
        """VPG's number → times of its changes of type or size, ascending."""
        self._newest_us: dict[int, int] = {}
        """VPG's number → the newest event counted (no less; after a start, its hour's end)."""
        self._memory = -1
        """Of which version it is: the row ``memory`` of the settings says the newest."""
        self._stale = False
        """What is kept in memory must be read anew."""
        self._dirty = False
        """What is kept in memory is not committed."""

    # ---- what a driver does --------------------------------------------------------------------

    @abstractmethod
    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement of the writer and return its rows."""

    @abstractmethod
    def _many(self, sql: str, rows: Iterable[Row]) -> None:
        """Run one statement of the writer for each row."""

    @abstractmethod
    def _begin(self, *, changes: bool) -> bool:
        """Begin the writer's transaction; return whether others changed the memory's tables.

        ``changes``: the transaction will change them itself.
        """

    @abstractmethod
    def _commit(self) -> None:
        """Commit, durable on return."""

    @abstractmethod
    def _rollback(self) -> None:
        """Give the transaction up; must not raise."""

    @abstractmethod
    def _insert(self, facts: Sequence[Fact]) -> set[int] | None:
        """Insert events; None: all were new. Else the places of those that were."""

    @abstractmethod
    def _new_source(self, name: tuple[str, str]) -> int:
        """Give (operator, source) its number, if it has none yet."""

    @abstractmethod
    def _counted_since(self, vpg_no: int, at_us: int) -> bool:
        """Return whether an event of the VPG at or after ``at_us`` may have been counted."""

    @abstractmethod
    def _told(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one query of a reader, beside the writer, and return its rows."""

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[None]:
        """Let all that is told within be of one moment."""

    # ---- transactions --------------------------------------------------------------------------

    def _open_group(self, *, changes: bool) -> None:
        """Begin a transaction with a memory that is right."""
        self._busy.acquire()
        try:
            if self._begin(changes=changes) or self._stale:
                self._load()
        except BaseException:
            self.undo()
            raise

    def sync(self) -> None:
        """Commit what is staged."""
        try:
            self._commit()
        except BaseException:
            self.undo()
            raise
        self._dirty = False
        self._busy.release()

    def undo(self) -> None:
        """Forget what is staged."""
        self._rollback()
        self._sources.clear()
        if self._dirty:
            self._stale = True
            with suppress(StoreTroubleError):
                self._load()
        if self._busy.locked():
            self._busy.release()

    def _kept(self, work: Callable[[], None], *, changes: bool = False) -> None:
        """Do ``work`` in a transaction of its own."""
        self._open_group(changes=changes)
        try:
            work()
        except BaseException:
            self.undo()
            raise
        self.sync()

    def _change_memory(self) -> None:
        """Note that this transaction changes what is kept in memory."""
        self._dirty = True
        self._memory += 1
        self._query(tables.SET_SETTING, ("memory", str(self._memory)))

    def refresh(self) -> None:
        """Learn what other processes have changed of VPGs, lines and configs."""
        if int(self._told(tables.MEMORY)[0][0]) > self._memory:
            self._kept(self._load)

    # ---- memory --------------------------------------------------------------------------------

    def _load(self) -> None:
        """Read anew what is kept in memory.

        Other threads may look at it meanwhile: what stays is there all the time.
        """
        self._resized.clear()
        self._sources.clear()
        lives = {}
        by_number = {}
        for number, vpg_id, operator_id in self._query(
            "SELECT vpg_no, vpg_id, operator_id FROM vpg"
        ):
            life = VpgLife(number=number, vpg_id=vpg_id, operator_id=operator_id)
            lives[vpg_id] = by_number[number] = life
        for number, at_us, late, body in self._query(
            "SELECT vpg_no, at_us, late, body FROM config ORDER BY vpg_no, place"
        ):
            change = ConfigChange(at_us=at_us, config=_config.decode(body), late=late)
            self._know(by_number[number], change)
        newest = {
            number: hour_us + HOUR_US - 1
            for number, hour_us in self._query(
                "SELECT vpg_no, max(hour_us) FROM figure GROUP BY vpg_no"
            )
        }
        _replace(self._lives, lives)
        _replace(self._by_number, by_number)
        _replace(self._newest_us, newest)
        _replace(self._lines, {entry.sim_id: entry for entry in self._read_lines(self._query)})
        self._memory = int(self._query(tables.MEMORY)[0][0])
        self._stale = self._dirty = False

    @staticmethod
    def _read_lines(query: Callable[[str], list[Row]]) -> list[LineEntry]:
        found = query("SELECT status, body FROM line ORDER BY sim_id")
        return [_line(status, body) for status, body in found]

    def _know(self, life: VpgLife, change: ConfigChange) -> None:
        life.configs.append(change)
        life.newest_config_us = max(life.newest_config_us, change.at_us)
        if len(life.configs) == 1:
            life.born_us, life.born = change.at_us, to_utc(change.at_us)
        if not change.config.exists:
            life.lives = False
            # What ended on the hour was not there in the hour that begins.
            life.rows_end_us = hour_start(change.at_us - 1) + HOUR_US
        if change.config.resized:
            self._resized.setdefault(life.number, []).append(change.at_us)


def _replace(old: dict[Any, Any], new: dict[Any, Any]) -> None:
    old.update(new)
    for key in old.keys() - new.keys():
        del old[key]


def _line(status: LineStatus, body: str) -> LineEntry:
    return LineEntry(**{**msgspec.json.decode(body), "status": status})
