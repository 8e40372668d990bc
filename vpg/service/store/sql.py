"""The store in SQL: counts groups of usage events, tells their hours, forgets old keys.

Owns: the order of a group's statements. Does not own: the statements (``tables.py``), the
transaction (``driver.py``), how duplicates are found (``sqlite.py``, ``postgres.py``), what a group
adds (``vpg.rating.counting``) or rows of the hourly metrics (``hours.py``). Times: ``SimUs``.

A group is one transaction: names of events, sums, sessions and configs stand or fall together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from vpg.errors import ensure
from vpg.rating import counting
from vpg.rating.events import CONFIG
from vpg.service.ports import CONFLICT, COUNTED
from vpg.service.store import tables
from vpg.service.store.base import ConfigChange, Hours, VpgLife
from vpg.service.store.hours import hours_of
from vpg.service.store.months import keys_kept_until_us, oldest_us
from vpg.service.store.registry import Registry
from vpg.timebase import HOUR_US, hour_start, month_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vpg.rating.counting import Deltas, Fact
    from vpg.rating.events import UsageEvent
    from vpg.service.store.driver import Row

_SOURCES_MAX = 100_000
_NAMES_AT_ONCE = 500
_LOOKED_AT_ONCE = 1_000
_BEFORE_ALL = (-1, "")
_LINES_INSPECTED = counting.SUMS.index("lines_inspected")
_json = msgspec.json.Encoder()


class SqlStore(Registry):
    """A store in SQL tables; see ``vpg.service.store.base.Store``."""

    _forget_after: tuple[int, str] = _BEFORE_ALL
    _forget_turn: int = 0

    # ---- a group -------------------------------------------------------------------------------

    def commit(self, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        """Count ``events``; see ``Store.commit``."""
        answers = self.stage(events, now_us)
        self.sync()
        return answers

    def stage(self, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        """Do all but the commit."""
        self._open_group(changes=any(one.type == CONFIG for one in events))
        try:
            return self._stage(events, now_us)
        except BaseException:
            self.undo()
            raise

    def _stage(self, events: Sequence[UsageEvent], now_us: int) -> list[int]:
        facts = self._facts(events, now_us)
        new = self._insert(facts)
        if new is None:
            answers = [COUNTED] * len(facts)
        else:
            answers = self._same(facts, new)
            facts = [facts[place] for place in sorted(new)]
        redo: dict[int, int] = {}
        if any(fact[3] >= counting.REQUEST_KINDS for fact in facts):
            self._keep_sessions(facts)
            redo = self._keep_configs(facts)
        self._add([fact for fact in facts if not _in(redo, fact)] if redo else facts)
        for vpg_no, from_us in redo.items():
            self._recount(vpg_no, from_us)
        newest = self._newest_us
        for fact in facts:
            if fact[5] > newest.get(fact[4], -1):
                newest[fact[4]] = fact[5]
        return answers

    def _facts(self, events: Sequence[UsageEvent], now_us: int) -> list[Fact]:
        sources, lives, fact_of = self._sources, self._lives, counting.fact_of
        facts = []
        for one in events:
            life = lives.get(one.data.vpgId) or self._find_life(one.data.vpgId)
            name = one.data.operatorId, one.source
            if name not in sources:
                self._learn_sources({(other.data.operatorId, other.source) for other in events})
            facts.append(fact_of(one, sources[name], life.number, now_us))
        return facts

    def _learn_sources(self, names: set[tuple[str, str]]) -> None:
        sources = self._sources
        if len(sources) >= _SOURCES_MAX:
            sources.clear()
        for name in sorted(names - set(sources)):
            found = self._query(tables.FIND_SOURCE, name)
            sources[name] = int(found[0][0]) if found else self._new_source(name)

    def _find_life(self, vpg_id: str) -> VpgLife:
        self._load()
        life = self._lives.get(vpg_id)
        ensure(life is not None, f"{vpg_id} is a registered VPG")
        return cast("VpgLife", life)

    def _same(self, facts: Sequence[Fact], new: set[int]) -> list[int]:
        """Return the answers where some events were there already: content decides."""
        kept: dict[Row, Row] = {facts[place][:2]: facts[place] for place in new}
        by_source: dict[int, list[str]] = {}
        for source_no, event_id in sorted({fact[:2] for fact in facts} - set(kept)):
            by_source.setdefault(source_no, []).append(event_id)
        for source_no, ids in by_source.items():
            for begin in range(0, len(ids), _NAMES_AT_ONCE):
                part = ids[begin : begin + _NAMES_AT_ONCE]
                sql = tables.KEPT.format(marks=", ".join("?" * len(part)))
                for row in self._query(sql, (source_no, *part)):
                    kept[row[:2]] = row
        begin = counting.CONTENT
        return [COUNTED if kept[fact[:2]][begin:] == fact[begin:] else CONFLICT for fact in facts]

    def _add(self, facts: Sequence[Fact]) -> None:
        if facts:
            self._write(counting.count(facts, self._place_of, self._whole_hour))

    def _write(self, deltas: Deltas) -> None:
        # In the order of their keys: writers side by side never wait for each other in a ring.
        if deltas.sums:
            self._many(tables.ADD_FIGURE, deltas.sums)
        if deltas.peaks:
            self._many(tables.RAISE_PEAK, deltas.peaks)
        if deltas.delays:
            self._many(tables.ADD_DELAY, deltas.delays)
        if deltas.inspected:
            self._many(tables.SEE_LINE, deltas.inspected)

    def _place_of(self, vpg_no: int, at_us: int, arrived_us: int) -> tuple[int, int]:
        """Return (config_seq, arrival period) of a fact."""
        late = self.months.late_of(at_us, arrived_us)
        return sum(at <= at_us for at in self._resized.get(vpg_no, ())), late

    def _whole_hour(self, vpg_no: int, hour_us: int) -> bool:
        """Return whether ``config_seq`` stays the same for all of the hour."""
        return not any(hour_us < at < hour_us + HOUR_US for at in self._resized.get(vpg_no, ()))

    # ---- sessions and configs ------------------------------------------------------------------

    def _keep_sessions(self, facts: Sequence[Fact]) -> None:
        for _, _, _, kind, vpg_no, at_us, sim_id, *_ in facts:
            if kind == counting.CREATED_KIND:
                self._query(tables.SESSION_CREATED, (sim_id, vpg_no, at_us, at_us))
            elif kind in counting.DELETED_KINDS:
                self._query(tables.SESSION_DELETED, (sim_id, vpg_no, at_us))
            elif kind == counting.GHOST_KIND:
                self._query(tables.SESSION_GHOST, (at_us, sim_id, at_us))

    def _keep_configs(self, facts: Sequence[Fact]) -> dict[int, int]:
        """Keep configs; return from which hour on the sums of which VPGs must be made anew."""
        redo: dict[int, int] = {}
        configs = [fact for fact in facts if fact[3] == counting.CONFIG_KIND]
        if configs:
            self._change_memory()
        for fact in sorted(configs, key=lambda one: one[5]):
            _, _, arrived_us, _, vpg_no, at_us, *_ = fact
            config = counting.config_in(fact)
            life = self._by_number[vpg_no]
            late = self.months.late_of(at_us, arrived_us)
            body = _json.encode(config).decode()
            self._query(tables.ADD_CONFIG, (vpg_no, len(life.configs), at_us, late, body))
            self._know(life, ConfigChange(at_us=at_us, config=config, late=late))
            if config.resized and self._counted_since(vpg_no, at_us):
                # Counted with the row before it, because it came before the change did.
                redo[vpg_no] = min(redo.get(vpg_no, at_us), hour_start(at_us))
        return redo

    def _recount(self, vpg_no: int, from_us: int) -> None:
        """Make the sums of a VPG's hours from ``from_us`` on anew from its events."""
        for sql in tables.CLEAR_HOURS:
            self._query(sql, (vpg_no, from_us))
        facts = cast("list[Fact]", self._query(tables.EVENTS_FROM, (vpg_no, from_us)))
        self._write(counting.count_one_by_one(facts, self._place_of, self._whole_hour))

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
        self.refresh()
        lives = self.lives()
        if vpg_ids is not None:
            wanted = set(vpg_ids)
            lives = [life for life in lives if life.vpg_id in wanted]
        with self._snapshot():
            return hours_of(self._told, lives, from_us, min(until_us, now_us), late_until)

    def late_months(self, period_us: int) -> list[int]:
        """Return the months (first instants) of which something came in an arrival period."""
        months = {month_start(row[0]) for row in self._told(tables.LATE_HOURS, (period_us,) * 2)}
        for life in self._lives.values():
            for change in life.configs:
                month_us = month_start(change.at_us)
                while change.late == period_us and month_us < period_us:
                    months.add(month_us)
                    month_us = month_start(month_us + 32 * 24 * HOUR_US)
        return sorted(months)

    def events(self) -> Iterator[Fact]:
        """Yield every event that is kept, in order of its name."""
        after = _BEFORE_ALL
        while rows := self._told(tables.NEXT_EVENTS, (*after, _LOOKED_AT_ONCE)):
            yield from cast("list[Fact]", rows)
            after = rows[-1][:2]

    # ---- keys ----------------------------------------------------------------------------------

    def forget(self, now_us: int, steps: int = 1) -> int:
        """Remove keys that need no longer be kept: look at the next few events, and so around."""
        return sum(self._forget_some(now_us) for _ in range(steps))

    def _forget_some(self, now_us: int) -> int:
        looked = self._told(tables.NEXT_EVENTS, (*self._forget_after, _LOOKED_AT_ONCE))
        self._forget_after = looked[-1][:2] if len(looked) == _LOOKED_AT_ONCE else _BEFORE_ALL
        over = [row[:2] for row in looked if keys_kept_until_us(row[5]) <= now_us]
        if over:
            self._kept(lambda: self._many(tables.FORGET_EVENT, over))
        numbers = sorted(self._by_number)
        if numbers:
            self._forget_turn = (self._forget_turn + 1) % len(numbers)
            vpg_no = numbers[self._forget_turn]
            hour_us = self._told(tables.OLDEST_INSPECTED, (vpg_no,))[0][0]
            if hour_us is not None and hour_us < oldest_us(now_us):
                self._kept(lambda: self._fold_lines(vpg_no, hour_us))
        return len(over)

    def _fold_lines(self, vpg_no: int, hour_us: int) -> None:
        """Keep of an old hour only how many lines were inspected.

        Each version of the hour says the same as before: a line that a later arrival shows to have
        been seen in an earlier row moves there in that arrival's period.
        """
        counts: dict[tuple[int, int], int] = {}
        seen: dict[str, int] = {}
        for late, line, seq in self._query(tables.INSPECTED_IN, (vpg_no, hour_us)):
            if seq < seen.get(line, seq + 1):
                if line in seen:
                    counts[seen[line], late] = counts.get((seen[line], late), 0) - 1
                counts[seq, late] = counts.get((seq, late), 0) + 1
                seen[line] = seq
        self._many(
            tables.ADD_FIGURE,
            [
                (vpg_no, hour_us, *place, _LINES_INSPECTED, counts[place])
                for place in sorted(counts)
            ],
        )
        self._query(tables.FORGET_INSPECTED, (vpg_no, hour_us))


def _in(redo: dict[int, int], fact: Fact) -> bool:
    return fact[4] in redo and fact[5] >= redo[fact[4]]
