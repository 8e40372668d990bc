"""Rows of the hourly metrics out of a store: kept sums and peaks, and the configs replayed.

Owns: which rows there are, and the columns that follow from others (attempts, counts at the start
and end of a row, least peaks, distinct inspected lines). Does not own: the billing state of a row
(``vpg.rating.ledger``, which the simulator replays as well) or the sums (``sql.py``). Times:
``SimUs``; rows begin at clock hours.

There is a row for every hour in which the VPG existed, with or without traffic. What a version
before ``late_until`` did not know is left out of it: late figures by their arrival period, and late
configs; sums of a row that was then none are those of the row before it in its hour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vpg.rating.counting import PEAKS, SUMS
from vpg.rating.events import state_of
from vpg.rating.hourly import OUTCOMES, SERVICES
from vpg.rating.ledger import VpgLedger
from vpg.service.store import tables
from vpg.service.store.base import ConfigChange, Hours, VpgLife
from vpg.timebase import HOUR_US, hour_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vpg.rating.events import Config
    from vpg.rating.hourly import HourlyRow
    from vpg.results import RowKey

    Query = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
    Place = tuple[int, int]
    """(hour_us, config_seq)."""

_EVER = 2**62
_GONE = ("messages_delivered", "lost_tries", "lost_deadline", "lost_buffer", "lost_cancelled")
_NOT_COLUMNS = frozenset({"ghosts", "lines_inspected"})


@dataclass(slots=True)
class _Flow:
    """What was counted in one row."""

    sums: dict[str, int] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    delays: dict[int, int] = field(default_factory=dict)
    lines: int = 0
    """Inspected lines first seen in this row."""

    def take(self, other: _Flow) -> None:
        for name, amount in other.sums.items():
            self.sums[name] = self.sums.get(name, 0) + amount
        for name, peak in other.peaks.items():
            self.peaks[name] = max(peak, self.peaks.get(name, 0))
        for bucket, times in other.delays.items():
            self.delays[bucket] = self.delays.get(bucket, 0) + times
        self.lines += other.lines


@dataclass(slots=True)
class _Running:
    """Counts at the start of the next row."""

    sessions: int = 0
    ghosts: int = 0
    pending: int = 0

    def advance(self, sums: dict[str, int]) -> None:
        self.sessions += sums.get("sessions_created", 0) - sums.get("sessions_deleted", 0)
        self.ghosts += sums.get("ghosts", 0)
        gone = sum(sums.get(name, 0) for name in _GONE)
        self.pending += sums.get("messages_offered", 0) - gone


def hours_of(
    query: Query, lives: Sequence[VpgLife], from_us: int, until_us: int, late_until: int | None
) -> Hours:
    """Return the rows of ``lives`` whose clock hours touch [from, until), by key."""
    rows: list[HourlyRow] = []
    delays: dict[RowKey, dict[int, int]] = {}
    for life in lives:
        configs = known(life.configs, late_until)
        if configs and configs[0].at_us < until_us:
            replay = _Replay(
                query, life, configs, from_us=from_us, until_us=until_us, late_until=late_until
            )
            for row, histogram in replay.rows():
                rows.append(row)
                if histogram:
                    delays[row.vpg_id, row.hour_start_us, row.config_seq] = histogram
    return Hours(rows=tuple(rows), delays=delays)


def known(configs: Sequence[ConfigChange], late_until: int | None) -> list[ConfigChange]:
    """Return the configs that had come by the end of the arrival period ``late_until``."""
    return [one for one in configs if late_until is None or one.late <= late_until]


class _Replay:
    """The rows of one VPG."""

    def __init__(
        self,
        query: Query,
        life: VpgLife,
        configs: list[ConfigChange],
        *,
        from_us: int,
        until_us: int,
        late_until: int | None,
    ) -> None:
        self._life = life
        self._configs = configs
        self._begin_us = max(hour_start(from_us), hour_start(configs[0].at_us))
        self._until_us = until_us
        self._late_until = _EVER if late_until is None else late_until
        self._query = query
        self._running = self._before()
        self._flows = self._read()
        self._seen: dict[int, int] = {}

    def _before(self) -> _Running:
        values = (self._life.number, self._begin_us, self._late_until)
        running = _Running()
        found = self._query(tables.SUMS_BEFORE, values)
        running.advance({SUMS[name]: int(amount) for name, amount in found})
        return running

    def _read(self) -> dict[int, dict[int, _Flow]]:
        """Return what was counted: hour → config_seq → flow."""
        flows: dict[int, dict[int, _Flow]] = {}
        span = (self._life.number, self._begin_us, self._until_us, self._late_until)

        def flow(hour_us: int, seq: int) -> _Flow:
            return flows.setdefault(hour_us, {}).setdefault(seq, _Flow())

        for hour_us, seq, name, amount in self._query(tables.SUMS_OF, span):
            flow(hour_us, seq).sums[SUMS[name]] = int(amount)
        for hour_us, seq, name, peak in self._query(tables.PEAKS_OF, span):
            flow(hour_us, seq).peaks[PEAKS[name]] = peak
        for hour_us, seq, bucket, amount in self._query(tables.DELAYS_OF, span):
            flow(hour_us, seq).delays[bucket] = int(amount)
        for hour_us, seq, lines in self._query(tables.LINES_OF, span):
            flow(hour_us, seq).lines = lines
        return flows

    def rows(self) -> Iterator[tuple[HourlyRow, dict[int, int]]]:
        ledger, changes = self._open()
        hour_us: int = self._begin_us
        while hour_us < self._until_us:
            next_us = hour_us + HOUR_US
            # What ends on the hour was not there in the hour that begins: ends come before ticks.
            while changes and (
                changes[0].at_us < next_us
                or (changes[0].at_us == next_us and not changes[0].config.exists)
            ):
                if changes[0].at_us >= self._until_us:
                    break
                yield from self._change(ledger, changes.pop(0))
            yield self._close(ledger, next_us, last=True)
            if ledger.ending:
                return
            hour_us = next_us

    def _open(self) -> tuple[VpgLedger, list[ConfigChange]]:
        """Return the ledger as it is when the first row begins, and the changes from there on."""
        first = self._configs[0]
        if first.at_us >= self._begin_us:
            ledger = self._ledger(first.config, first.at_us)
            for item in first.config.oneOff:
                ledger.owe(item)
            return ledger, self._configs[1:]
        before = [one for one in self._configs if one.at_us < self._begin_us]
        ended = next((one for one in before if not one.config.exists), None)
        if ended is not None and hour_start(ended.at_us - 1) < self._begin_us:
            self._until_us = self._begin_us
        ledger = self._ledger(before[-1].config, self._begin_us)
        # Type and size are those of the last change that said that they change.
        sized = [before[0], *(one for one in before if one.config.resized)][-1].config
        ledger.type, ledger.size = sized.type, sized.size
        ledger.config_seq = sum(one.config.resized for one in before)
        return ledger, self._configs[len(before) :]

    def _ledger(self, config: Config, at_us: int) -> VpgLedger:
        state = state_of(config)
        name = self._life.vpg_id
        return VpgLedger(vpg_id=name, state=state, now_us=at_us, contract_fee=False)

    def _change(
        self, ledger: VpgLedger, change: ConfigChange
    ) -> Iterator[tuple[HourlyRow, dict[int, int]]]:
        config, at_us = change.config, change.at_us
        if config.resized and not ledger.is_fresh(at_us):
            yield self._close(ledger, at_us, last=False)
        for item in config.oneOff:
            ledger.owe(item)
        if config.resized:
            ledger.reconfigure(config.type, config.size)
        if not config.exists:
            ledger.ending = True
            return
        for kind, count in (("peering", config.peering), ("vif", config.vif), ("vpn", config.vpn)):
            change_by = count - ledger.connections(kind)
            if change_by:
                ledger.change_connections(at_us, kind, change_by)
        for feature, value in (
            ("mirroring", int(config.mirroring)),
            ("redirection", int(config.redirection)),
            ("inspection", int(config.inspection)),
            ("fixed_ip", config.fixedIpSets),
        ):
            if ledger.feature(feature) != value:
                ledger.switch(at_us, feature, value)

    def _close(
        self, ledger: VpgLedger, at_us: int, *, last: bool
    ) -> tuple[HourlyRow, dict[int, int]]:
        """Close the row; ``last``: of its hour, which takes what no other row of the hour has."""
        hour_us = hour_start(at_us - 1)
        parts = self._flows.get(hour_us, {})
        flow = _Flow()
        for seq in sorted(parts):
            if last or seq <= ledger.config_seq:
                flow.take(parts.pop(seq))
        self._seen[hour_us] = self._seen.get(hour_us, 0) + flow.lines
        self._seen[hour_us] += flow.sums.get("lines_inspected", 0)
        return ledger.close_row(at_us, self._columns(flow, self._seen[hour_us]), flow.delays), (
            flow.delays
        )

    def _columns(self, flow: _Flow, lines: int) -> dict[str, int]:
        sums, running = flow.sums, self._running
        columns = {name: amount for name, amount in sums.items() if name not in _NOT_COLUMNS}
        for service in SERVICES:
            columns[f"attempts_{service}"] = sum(
                sums.get(f"{outcome}_{service}", 0) for outcome in OUTCOMES
            )
        attach = ("sessions_created", "sessions_refused", "attach_rejected_other")
        columns["attach_attempts"] = sum(sums.get(name, 0) for name in attach)
        columns |= flow.peaks
        columns["lines_peak"] = max(flow.peaks.get("lines_peak", 0), running.sessions)
        columns["ghosts_peak"] = max(flow.peaks.get("ghosts_peak", 0), running.ghosts)
        columns["lines_inspected"] = lines
        columns["sessions_start"], columns["pending_start"] = running.sessions, running.pending
        running.advance(sums)
        columns["sessions_end"], columns["pending_end"] = running.sessions, running.pending
        return columns
