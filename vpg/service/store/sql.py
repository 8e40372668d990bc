"""What SQLite and PostgreSQL stores do alike: count a group, keep VPGs, lines, sessions, configs.

Owns: the order of a group's statements, and what is kept in memory of the tables. Does not own: the
statements (``tables.py``), connections and how duplicates are found (``sqlite.py``,
``postgres.py``), or rows of the hourly metrics (``hours.py``). Times: ``SimUs``.

A group is one transaction: names of events, sums, sessions and configs stand or fall together.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import msgspec

from vpg.billing.calendar import BusinessCalendar, invoice_dates
from vpg.errors import InputError, Problem, ensure
from vpg.rating import counting
from vpg.rating.events import Config
from vpg.rating.ledger import BillingState
from vpg.service.clock import Anchor
from vpg.service.ports import CONFLICT, COUNTED, StoreTroubleError
from vpg.service.store import tables
from vpg.service.store.base import ConfigChange, Hours, LiveSession, VpgLife
from vpg.service.store.hours import hours_of
from vpg.service.values import Limiter, LineEntry, Peer, Upstream, VpgOrder
from vpg.timebase import DAY_US, HOUR_US, hour_start, month_name, month_start, next_month_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from vpg.rating.counting import Deltas, Fact
    from vpg.rating.events import UsageEvent
    from vpg.service.values import LineStatus

    Row = tuple[Any, ...]

KEYS_KEPT_US = 35 * DAY_US
"""Keys outlive the billing month of their event by so long."""
_SOURCES_MAX = 100_000
_FORGET_ROWS = 2_000
_json = msgspec.json.Encoder()
_config = msgspec.json.Decoder(Config)


def keys_kept_until_us(at_us: int) -> int:
    """Return until when the key of an event at ``at_us`` is kept: older events are refused."""
    return next_month_start(at_us) + KEYS_KEPT_US


class Months:
    """When the figures of each rating month become final, and the arrival period of late ones."""

    def __init__(self, calendar: BusinessCalendar) -> None:
        """Follow ``calendar``."""
        self.calendar = calendar
        self._final: dict[int, int] = {}

    def final_us(self, month_us: int) -> int:
        """Return the instant from which the figures of the month beginning there are final."""
        final = self._final.get(month_us)
        if final is None:
            final = invoice_dates(month_name(month_us), self.calendar).figures_final_us
            self._final[month_us] = final
        return final

    def late_of(self, at_us: int, arrived_us: int) -> int:
        """Return 0 for what came in time, else the first month that was not yet final."""
        month_us: int = month_start(at_us)
        if arrived_us < self.final_us(month_us):
            return 0
        while arrived_us >= self.final_us(month_us):
            month_us = next_month_start(month_us)
        return month_us


class SqlStore(ABC):
    """A store in SQL tables; see ``vpg.service.store.base.Store``."""

    def __init__(self, *, calendar: BusinessCalendar | None = None, sync_delay_us: int = 0) -> None:
        """Begin with empty memory; ``sync_delay_us`` is added to every commit (a slow disk)."""
        self.months = Months(BusinessCalendar() if calendar is None else calendar)
        self.sync_delay_us = sync_delay_us
        self._busy = threading.Lock()
        self._lives: dict[str, VpgLife] = {}
        self._by_number: dict[int, VpgLife] = {}
        self._lines: dict[str, LineEntry] = {}
        self._sources: dict[str, int] = {}
        self._resized: dict[int, list[int]] = {}
        self._newest_us: dict[int, int] = {}
        self._periods: dict[int, tuple[int, int, int]] = {}
        self._stale = False
        self._dirty = False
        """What is kept in memory of VPGs, lines and configs is not committed."""
        self._forget_after: tuple[int, str] = (-1, "")

    # ---- what a driver does --------------------------------------------------------------------

    @abstractmethod
    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement of the writer and return its rows."""

    @abstractmethod
    def _many(self, sql: str, rows: Iterable[Row]) -> None:
        """Run one statement of the writer for each row."""

    @abstractmethod
    def _begin(self) -> bool:
        """Begin the writer's transaction; return whether others changed VPGs since the last."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit, durable on return."""

    @abstractmethod
    def _rollback(self) -> None:
        """Give the transaction up; must not raise."""

    @abstractmethod
    def _insert(self, rows: Sequence[Row]) -> set[int] | None:
        """Insert events; None: all were new. Else the places of those that were."""

    @abstractmethod
    def _new_source(self, source: str) -> int:
        """Give ``source`` its number, if it has none yet."""

    @abstractmethod
    def _told(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one query of a reader, beside the writer, and return its rows."""

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[None]:
        """Let all that is told within be of one moment."""

    def _configs_change(self) -> None:
        """Tell other writers of the same store that what is kept in memory has changed."""

    # ---- counting ------------------------------------------------------------------------------

    def commit(self, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        """Count ``events``; see ``Store.commit``."""
        answers = self.stage(events, now_us)
        self.sync()
        return answers

    def stage(self, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        """Do all but the commit."""
        self._busy.acquire()
        try:
            if self._begin() or self._stale:
                self._load()
            return self._stage(events, now_us)
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

    def _stage(self, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        rows = self._rows(events, now_us)
        new = self._insert(rows)
        if new is None:
            answers = [COUNTED] * len(rows)
        else:
            answers = self._same(rows, new)
            rows = [rows[place] for place in sorted(new)]
        facts = [cast("Fact", row[2:]) for row in rows]
        self._keep_sessions(facts)
        configs = [fact for fact in facts if fact[1] == counting.CONFIG_KIND]
        redo = self._keep_configs(configs) if configs else {}
        self._add(facts if not redo else [fact for fact in facts if not _in(redo, fact)])
        for vpg_no, from_us in redo.items():
            self._recount(vpg_no, from_us)
        self._note_newest(facts)
        return answers

    def _rows(self, events: Sequence[UsageEvent], now_us: int) -> list[Row]:
        sources, lives, fact_of = self._sources, self._lives, counting.fact_of
        rows = []
        for one in events:
            life = lives.get(one.data.vpgId)
            if life is None:
                life = self._find_life(one.data.vpgId)
            number = sources.get(one.source)
            if number is None:
                number = self._source(one.source)
            rows.append((number, one.id, *fact_of(one, life.number, now_us)))
        return rows

    def _source(self, source: str) -> int:
        if len(self._sources) >= _SOURCES_MAX:
            self._sources.clear()
        found = self._query("SELECT source_no FROM source WHERE source = ?", (source,))
        number = found[0][0] if found else self._new_source(source)
        self._sources[source] = number
        return int(number)

    def _find_life(self, vpg_id: str) -> VpgLife:
        self._load()
        life = self._lives.get(vpg_id)
        ensure(life is not None, f"{vpg_id} is a registered VPG")
        return cast("VpgLife", life)

    def _same(self, rows: Sequence[Row], new: set[int]) -> list[int]:
        """Return the answers where some events were there already: content decides."""
        kept: dict[Row, Row] = {rows[place][:2]: rows[place] for place in new}
        missing = {row[:2] for row in rows} - set(kept)
        by_source: dict[int, list[str]] = {}
        for source_no, event_id in missing:
            by_source.setdefault(source_no, []).append(event_id)
        for source_no, ids in by_source.items():
            for begin in range(0, len(ids), 500):
                part = ids[begin : begin + 500]
                marks = ", ".join("?" * len(part))
                sql = f"SELECT * FROM event WHERE source_no = ? AND id IN ({marks})"  # noqa: S608 - marks
                for row in self._query(sql, (source_no, *part)):
                    kept[row[:2]] = row
        # What arrived when is no part of what the event says.
        return [COUNTED if kept[row[:2]][3:] == row[3:] else CONFLICT for row in rows]

    def _add(self, facts: Sequence[Fact]) -> None:
        self._write(counting.count(facts, self._place_of, self._whole_hour))

    def _write(self, deltas: Deltas) -> None:
        # In the order of their keys: writers side by side never wait for each other in a ring.
        if deltas.sums:
            self._many(tables.ADD_FIGURE, [(*key, deltas.sums[key]) for key in sorted(deltas.sums)])
        if deltas.peaks:
            self._many(
                tables.RAISE_PEAK, [(*key, deltas.peaks[key]) for key in sorted(deltas.peaks)]
            )
        if deltas.delays:
            self._many(
                tables.ADD_DELAY, [(*key, deltas.delays[key]) for key in sorted(deltas.delays)]
            )
        if deltas.inspected:
            seen = [(*key, deltas.inspected[key]) for key in sorted(deltas.inspected)]
            self._many(tables.SEE_LINE, seen)

    def _place_of(self, vpg_no: int, at_us: int, arrived_us: int) -> tuple[int, int]:
        """Return (config_seq, arrival period) of a fact."""
        begins_us, ends_us, late = self._periods.get(vpg_no, (1, 0, 0))
        if not (begins_us <= at_us and arrived_us < ends_us):
            late = self._late(vpg_no, at_us, arrived_us)
        resized = self._resized.get(vpg_no)
        if not resized:
            return 0, late
        return sum(1 for at in resized if at <= at_us), late

    def _late(self, vpg_no: int, at_us: int, arrived_us: int) -> int:
        late = self.months.late_of(at_us, arrived_us)
        if not late:
            # Everything from this month on that arrives before its end is in time.
            month_us = month_start(at_us)
            self._periods[vpg_no] = (month_us, self.months.final_us(month_us), 0)
        return late

    def _whole_hour(self, vpg_no: int, hour_us: int) -> int | None:
        seq = 0
        for at in self._resized.get(vpg_no, ()):
            if at <= hour_us:
                seq += 1
            elif at < hour_us + HOUR_US:
                return None
        return seq

    def _note_newest(self, facts: Sequence[Fact]) -> None:
        newest = self._newest_us
        for fact in facts:
            if fact[3] > newest.get(fact[2], -1):
                newest[fact[2]] = fact[3]

    # ---- sessions and configs ------------------------------------------------------------------

    def _keep_sessions(self, facts: Sequence[Fact]) -> None:
        for _, kind, vpg_no, at_us, sim_id, *_ in facts:
            if kind == counting.CREATED_KIND:
                self._query(tables.SESSION_CREATED, (sim_id, vpg_no, at_us, at_us))
            elif kind in counting.DELETED_KINDS:
                self._query(tables.SESSION_DELETED, (sim_id, vpg_no, at_us))
            elif kind == counting.GHOST_KIND:
                self._query(tables.SESSION_GHOST, (at_us, sim_id, at_us))

    def _keep_configs(self, facts: Sequence[Fact]) -> dict[int, int]:
        """Keep configs; return from which hour on the sums of which VPGs must be made anew."""
        redo: dict[int, int] = {}
        self._dirty = True
        self._configs_change()
        for fact in sorted(facts, key=lambda one: one[3]):
            arrived_us, _, vpg_no, at_us, *_ = fact
            config = counting.config_in(fact)
            life = self._by_number[vpg_no]
            late = self.months.late_of(at_us, arrived_us)
            self._query(
                "INSERT INTO config VALUES (?, ?, ?, ?, ?)",
                (vpg_no, len(life.configs), at_us, late, _json.encode(config).decode()),
            )
            self._know(life, ConfigChange(at_us=at_us, config=config, late=late))
            if config.resized and self._newest_us.get(vpg_no, -1) >= at_us:
                # Counted with the row before it, because it came before the change did.
                redo[vpg_no] = min(redo.get(vpg_no, at_us), hour_start(at_us))
        return redo

    def _know(self, life: VpgLife, change: ConfigChange) -> None:
        life.configs.append(change)
        life.newest_config_us = max(life.newest_config_us, change.at_us)
        if life.born_us < 0:
            life.born_us = change.at_us
        if not change.config.exists:
            life.rows_end_us = hour_start(change.at_us - 1) + HOUR_US
        if change.config.resized:
            self._resized.setdefault(life.number, []).append(change.at_us)

    def _recount(self, vpg_no: int, from_us: int) -> None:
        """Make the sums of a VPG's hours from ``from_us`` on anew from its events."""
        for table in ("figure", "peak", "delay", "inspected"):
            self._query(
                f"DELETE FROM {table} WHERE vpg_no = ? AND hour_us >= ?",  # noqa: S608 - our names
                (vpg_no, from_us),
            )
        facts = self._query(
            f"SELECT {tables.FACT} FROM event WHERE vpg_no = ? AND at_us >= ?",  # noqa: S608
            (vpg_no, from_us),
        )
        deltas = counting.count_one_by_one(cast("list[Fact]", facts), self._place_of)
        self._write(deltas)

    def _load(self) -> None:
        """Read anew what is kept in memory of VPGs, lines and configs."""
        self._stale = self._dirty = False
        for memory in (self._lives, self._by_number, self._sources, self._resized):
            memory.clear()
        self._newest_us.clear()
        for number, vpg_id, operator_id in self._query(
            "SELECT vpg_no, vpg_id, operator_id FROM vpg"
        ):
            life = VpgLife(number=number, vpg_id=vpg_id, operator_id=operator_id)
            self._lives[vpg_id] = self._by_number[number] = life
        for number, at_us, late, body in self._query(
            "SELECT vpg_no, at_us, late, body FROM config ORDER BY vpg_no, place"
        ):
            change = ConfigChange(at_us=at_us, config=_config.decode(body), late=late)
            self._know(self._by_number[number], change)
        for number, hour_us in self._query(
            "SELECT vpg_no, max(hour_us) FROM figure GROUP BY vpg_no"
        ):
            # The very newest is not kept: somewhere in its hour.
            self._newest_us[number] = hour_us + HOUR_US - 1
        self._lines = {entry.sim_id: entry for entry in self._read_lines()}

    # ---- settings, VPGs, lines -----------------------------------------------------------------

    def _kept(self, work: Callable[[], None]) -> None:
        """Do ``work`` in a transaction of its own."""
        self._busy.acquire()
        try:
            if self._begin() or self._stale:
                self._load()
            work()
        except BaseException:
            self.undo()
            raise
        self.sync()

    def _setting(self, name: str) -> str | None:
        found = self._told("SELECT value FROM setting WHERE name = ?", (name,))
        return str(found[0][0]) if found else None

    def begin_life(self) -> int:
        """Return the number of this start."""
        lives = [0]

        def work() -> None:
            found = self._query("SELECT value FROM setting WHERE name = 'life'")
            lives[0] = int(found[0][0]) + 1 if found else 1
            self._query(tables.SET_SETTING, ("life", str(lives[0])))

        self._kept(work)
        return lives[0]

    def anchor(self) -> Anchor | None:
        """Return where service time begins."""
        text = self._setting("anchor")
        return None if text is None else msgspec.json.decode(text, type=Anchor)

    def set_anchor(self, anchor: Anchor) -> None:
        """Keep where service time begins."""
        text = _json.encode(anchor).decode()
        self._kept(lambda: self._settle("anchor", text))

    def _settle(self, name: str, value: str) -> None:
        self._query(tables.SET_SETTING, (name, value))

    def put_vpgs(self, orders: Sequence[VpgOrder]) -> None:
        """Register VPGs; raises ``InputError`` when one is another operator's already."""
        self._kept(lambda: self._put_vpgs(orders))

    def _put_vpgs(self, orders: Sequence[VpgOrder]) -> None:
        strange = [
            one
            for one in orders
            if one.id in self._lives and self._lives[one.id].operator_id != one.operator_id
        ]
        if strange:
            raise InputError(
                [
                    Problem(code="VPG1805", values={"vpg": one.id, "operator": one.operator_id})
                    for one in strange
                ]
            )
        self._dirty = True
        self._configs_change()
        number = max(self._by_number, default=0)
        for order in orders:
            life = self._lives.get(order.id)
            if life is None:
                number += 1
                life = VpgLife(number=number, vpg_id=order.id, operator_id=order.operator_id)
                self._lives[order.id] = self._by_number[number] = life
            body = _json.encode(order).decode()
            self._query(tables.PUT_VPG, (life.number, order.id, order.operator_id, body))

    def vpgs(self) -> list[VpgOrder]:
        """Return every registered VPG."""
        return [_order(row[0]) for row in self._told("SELECT body FROM vpg ORDER BY vpg_id")]

    def life(self, vpg_id: str) -> VpgLife | None:
        """Return what is known of a VPG."""
        return self._lives.get(vpg_id)

    def lives(self) -> list[VpgLife]:
        """Return what is known of every VPG, by id."""
        return [self._lives[vpg_id] for vpg_id in sorted(self._lives)]

    def configs(self, vpg_id: str) -> list[ConfigChange]:
        """Return the VPG's configs."""
        life = self._lives.get(vpg_id)
        return [] if life is None else list(life.configs)

    def put_lines(self, entries: Sequence[LineEntry]) -> None:
        """Register lines."""

        def work() -> None:
            self._configs_change()
            self._many(
                tables.PUT_LINE,
                [(one.sim_id, one.status, 0, _json.encode(one).decode()) for one in entries],
            )

        self._kept(work)
        self._lines |= {one.sim_id: one for one in entries}

    def _read_lines(self) -> list[LineEntry]:
        found = self._query("SELECT status, body FROM line ORDER BY sim_id")
        return [_line(status, body) for status, body in found]

    def lines(self) -> list[LineEntry]:
        """Return every line."""
        found = self._told("SELECT status, body FROM line ORDER BY sim_id")
        return [_line(status, body) for status, body in found]

    def line(self, sim_id: str) -> LineEntry | None:
        """Return one line."""
        return self._lines.get(sim_id)

    def change_line(self, sim_id: str, status: LineStatus, at_us: int) -> None:
        """Note a line's new status."""

        def work() -> None:
            self._configs_change()
            sql = "UPDATE line SET status = ?, changed_us = ? WHERE sim_id = ?"
            self._query(sql, (status, at_us, sim_id))

        self._kept(work)
        entry = self._lines.get(sim_id)
        if entry is not None:
            self._lines[sim_id] = replace(entry, status=status)

    def sessions(self) -> list[LiveSession]:
        """Return the sessions that live."""
        found = self._told(
            "SELECT sim_id, vpg_id, created_us, ghost FROM session JOIN vpg USING (vpg_no)"
            " WHERE live = 1 ORDER BY sim_id"
        )
        return [
            LiveSession(sim_id=sim_id, vpg_id=vpg_id, created_us=created_us, ghost=bool(ghost))
            for sim_id, vpg_id, created_us, ghost in found
        ]

    # ---- reading -------------------------------------------------------------------------------

    def hourly(
        self,
        vpg_ids: Sequence[str] | None,
        from_us: int,
        until_us: int,
        now_us: int,
        *,
        late_until: int | None = None,
    ) -> Hours:
        """Return rows of the hourly metrics; see ``Store.hourly``."""
        wanted = (
            self.lives()
            if vpg_ids is None
            else [self._lives[one] for one in sorted(set(vpg_ids)) if one in self._lives]
        )
        with self._snapshot():
            return hours_of(self._told, wanted, from_us, min(until_us, now_us), late_until)

    # ---- keys ----------------------------------------------------------------------------------

    def forget(self, now_us: int, steps: int = 1) -> int:
        """Remove keys that need no longer be kept: look at the next few events, and so around."""
        removed = [0]
        for _ in range(steps):
            self._kept(lambda: self._forget(now_us, removed))
        return removed[0]

    def _forget(self, now_us: int, removed: list[int]) -> None:
        looked = self._query(
            "SELECT source_no, id, at_us FROM event WHERE (source_no, id) > (?, ?)"
            f" ORDER BY source_no, id LIMIT {_FORGET_ROWS}",
            self._forget_after,
        )
        over = [row[:2] for row in looked if keys_kept_until_us(row[2]) <= now_us]
        self._many("DELETE FROM event WHERE source_no = ? AND id = ?", over)
        removed[0] += len(over)
        self._forget_after = looked[-1][:2] if len(looked) == _FORGET_ROWS else (-1, "")


def _in(redo: dict[int, int], fact: Fact) -> bool:
    return fact[2] in redo and fact[3] >= redo[fact[2]]


def _order(body: str) -> VpgOrder:
    found: dict[str, Any] = msgspec.json.decode(body)
    found["state"] = BillingState(**found["state"])
    found["limiter"] = Limiter(**found["limiter"])
    found["upstream"] = Upstream(**found["upstream"])
    found["peers"] = tuple(Peer(**peer) for peer in found["peers"])
    return VpgOrder(**found)


def _line(status: LineStatus, body: str) -> LineEntry:
    return LineEntry(**{**msgspec.json.decode(body), "status": status})
