"""Arrival processes: which messages a fleet's lines create in one clock hour.

Owns: the arrival laws of every traffic source. Does not own: what becomes of a message
(``sim.plane``). Random access: the messages of an hour are computed from the hour's number alone,
so a run may be cut anywhere, split over workers, or begun in the middle, and every message stays
where it was. Times: ``SimUs``.

A message is known by its line, its source and its number: tick k of a periodic source, the row of a
trace, or hour × 2**20 + its place in the hour for counted sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenarios.model import (
    MILLION,
    Burst,
    DemandCurve,
    Periodic,
    Poisson,
    Reporting,
    Trace,
)
from sim.traffic import laws, payloads
from sim.traffic.draws import Purpose, place, stream_key, words_of
from vpg.errors import EnsureError, ensure
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from scenarios.model import Fleet, Payload, Source
    from sim.traffic.draws import U64

    Ints = npt.NDArray[np.int64]
    WordsOf = Callable[[int, U64, int, U64, U64 | None, int], tuple[U64, U64, U64, U64]]

NUMBER_BITS = 20
"""Messages of one line, source and interval that a number can tell apart."""
_INTERVAL_US = 60_000_000
"""Demand intervals are numbered by the minute they begin in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Messages of one source in one hour; arrays of one length, in no particular order."""

    lines: Ints
    times_us: Ints
    numbers: Ints
    bytes_up: Ints
    bytes_down: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """A periodic source: line members[i] creates message k at phase + k × every + its jitter."""

    members: Ints
    phases_us: Ints
    every_us: Ints
    jitter_us: int


def _u64(values: Ints) -> U64:
    return values.astype(np.uint64)


class Stream:
    """One traffic source of one fleet."""

    def __init__(
        self,
        *,
        seed: int,
        replication: int,
        fleet: Fleet,
        source: Source,
        words: WordsOf = words_of,
    ) -> None:
        """Prepare the source's laws; nothing is drawn yet. ``words``: who draws, ever the same."""
        self._draw = words
        self.source = source
        self._fleet = fleet
        self._key = stream_key(seed, replication, fleet.name)
        self._members: Ints = np.empty(0, np.int64)
        self._members_of = -1
        self._phase: dict[str, Ints] = {}
        self._hour: Callable[[int], tuple[Ints, Ints, Ints]] = self._law()

    def hour(self, hour_us: int, lines: int) -> Batch:
        """Return the messages created in [hour_us, hour_us + 1 h) by lines 0 … ``lines`` - 1."""
        if lines != self._members_of:
            self._choose_members(lines)
        return self._batch(*self._hour(hour_us))

    def between(self, begin_us: int, end_us: int, lines: int) -> Batch:
        """Return the messages of a source that ticks, created in [begin_us, end_us)."""
        found = self.ticks(lines)
        if found is None:
            raise EnsureError("only a source that ticks can be asked for less than an hour")
        each = found.every_us, found.phases_us, found.jitter_us
        return self._batch(*self._ticks(begin_us, end_us, *each))

    def _batch(self, which: Ints, times_us: Ints, numbers: Ints) -> Batch:
        source = self.source
        if isinstance(source, Trace):
            up = np.array(source.bytes_up, np.int64)[numbers]
            down = np.array(source.bytes_down, np.int64)[numbers]
        else:
            up, down = self._sizes(which, numbers, source.up, source.down)
        return Batch(lines=which, times_us=times_us, numbers=numbers, bytes_up=up, bytes_down=down)

    def ticks(self, lines: int) -> Ticks | None:
        """Return the ticks of lines 0 … ``lines`` - 1, or None where the source has none."""
        source = self.source
        if not isinstance(source, Periodic | Reporting):
            return None
        if lines != self._members_of:
            self._choose_members(lines)
        if isinstance(source, Periodic):
            phases = self._phases(source)
            every = np.full(len(phases), source.every_us, np.int64)
            return Ticks(
                members=self._members, phases_us=phases, every_us=every, jitter_us=source.jitter_us
            )
        every, phases = self._intervals(source)
        return Ticks(members=self._members, phases_us=phases, every_us=every, jitter_us=0)

    # ---- which lines ---------------------------------------------------------------------------

    def _words(
        self,
        purpose: Purpose,
        lines: Ints,
        messages: Ints,
        attempts: Ints | None = None,
        index: int = 0,
    ) -> tuple[U64, U64, U64, U64]:
        return self._draw(
            self._key,
            _u64(lines),
            place(purpose, self.source.name),
            _u64(messages),
            None if attempts is None else _u64(attempts),
            index,
        )

    def _choose_members(self, lines: int) -> None:
        everyone = np.arange(lines, dtype=np.int64)
        if self.source.share_ppm < MILLION:
            drawn = laws.below_many(
                self._words(Purpose.SHARE, everyone, np.zeros(1, np.int64))[0], MILLION
            )
            everyone = everyone[drawn < self.source.share_ppm]
        self._members = everyone
        self._members_of = lines
        self._phase.clear()

    def _sizes(self, lines: Ints, numbers: Ints, up: Payload, down: Payload) -> tuple[Ints, Ints]:
        if payloads.is_fixed(up) and payloads.is_fixed(down):
            size = len(numbers)
            return np.full(size, up.low_bytes, np.int64), np.full(size, down.low_bytes, np.int64)
        words = self._words(Purpose.PAYLOAD, lines, numbers)
        return payloads.sizes(up, words[0]), payloads.sizes(down, words[1])

    # ---- laws ----------------------------------------------------------------------------------

    def _law(self) -> Callable[[int], tuple[Ints, Ints, Ints]]:
        source = self.source
        if isinstance(source, Periodic):
            return lambda hour_us: self._periodic(hour_us, source)
        if isinstance(source, Poisson):
            return lambda hour_us: self._poisson(hour_us, source)
        if isinstance(source, Burst):
            return lambda hour_us: self._burst(hour_us, source)
        if isinstance(source, Reporting):
            return lambda hour_us: self._reporting(hour_us, source)
        if isinstance(source, DemandCurve):
            return lambda hour_us: self._demand(hour_us, source)
        return lambda hour_us: self._trace(hour_us, source)

    def _uniform(self, purpose: Purpose, bound: int | Ints) -> Ints:
        """Return one draw in [0, bound) for each member line, the same at every call."""
        words = self._words(purpose, self._members, np.zeros(1, np.int64))[0]
        return laws.below_many(words, bound if isinstance(bound, int) else _u64(bound))

    def _phases(self, source: Periodic) -> Ints:
        if "phase" not in self._phase:
            if source.phase == "uniform":
                phases = self._uniform(Purpose.PHASE, source.every_us)
            elif source.phase == "even":
                phases = self._members * source.every_us // max(1, self._fleet.lines)
            else:
                phases = np.zeros(len(self._members), np.int64)
            self._phase["phase"] = phases + source.offset_us
        return self._phase["phase"]

    def _ticks(
        self, begin_us: int, end_us: int, every_us: Ints | int, phases: Ints, jitter_us: int
    ) -> tuple[Ints, Ints, Ints]:
        """Return (line, time, k) of every tick phase + k × every + jitter in an interval."""
        # The first and last k whose tick, with the largest jitter or none, can fall in it.
        reach_us = max(0, jitter_us - 1)
        first = -((phases + reach_us - begin_us) // every_us)
        last = (end_us - 1 - phases) // every_us
        count = np.maximum(last - first + 1, 0)
        place_of = np.repeat(np.arange(len(count)), count)
        within = np.arange(len(place_of)) - np.repeat(np.cumsum(count) - count, count)
        numbers = first[place_of] + within
        lines = self._members[place_of]
        each_us = every_us if isinstance(every_us, int) else every_us[place_of]
        times_us = phases[place_of] + numbers * each_us
        if jitter_us > 1:
            # One block serves four ticks: drawing is most of the work of a calm run.
            four = self._words(Purpose.JITTER, lines, numbers >> 2)
            words = np.choose(numbers & 3, four)
            times_us += laws.below_many(words, jitter_us)
            inside = (times_us >= begin_us) & (times_us < end_us)
            return lines[inside], times_us[inside], numbers[inside]
        return lines, times_us, numbers

    def _periodic(self, hour_us: int, source: Periodic) -> tuple[Ints, Ints, Ints]:
        end_us = hour_us + HOUR_US
        return self._ticks(hour_us, end_us, source.every_us, self._phases(source), source.jitter_us)

    def _intervals(self, source: Reporting) -> tuple[Ints, Ints]:
        if "every" not in self._phase:
            intervals = np.array([every_us for every_us, _ in source.intervals], np.int64)
            words = self._words(Purpose.INTERVAL, self._members, np.zeros(1, np.int64))[0]
            chosen = laws.choose_many(words, tuple(weight for _, weight in source.intervals))
            self._phase["every"] = intervals[chosen]
            self._phase["phase"] = self._uniform(Purpose.PHASE, self._phase["every"])
        return self._phase["every"], self._phase["phase"]

    def _reporting(self, hour_us: int, source: Reporting) -> tuple[Ints, Ints, Ints]:
        return self._ticks(hour_us, hour_us + HOUR_US, *self._intervals(source), 0)

    def _counted(
        self, begin_us: int, length_us: int, micro_mean: int, serial: int
    ) -> tuple[Ints, Ints, Ints]:
        """Return a Poisson number of messages a line, at uniform places in an interval."""
        members = self._members
        at = np.array([serial], np.int64)
        counts = laws.poisson_many(self._words(Purpose.COUNT, members, at)[0], micro_mean)
        ensure(
            len(counts) == 0 or int(counts.max()) < 1 << NUMBER_BITS,
            "an interval's messages can be numbered",
        )
        lines = np.repeat(members, counts)
        within = np.arange(len(lines)) - np.repeat(np.cumsum(counts) - counts, counts)
        numbers = (serial << NUMBER_BITS) + within
        offsets = laws.below_many(self._words(Purpose.PLACE, lines, numbers)[0], length_us)
        return lines, begin_us + offsets, numbers

    def _poisson(self, hour_us: int, source: Poisson) -> tuple[Ints, Ints, Ints]:
        return self._counted(hour_us, HOUR_US, source.rate_micro_per_hour, hour_us // _INTERVAL_US)

    def _demand(self, hour_us: int, source: DemandCurve) -> tuple[Ints, Ints, Ints]:
        begins = np.array(source.begins_us, np.int64)
        ends = np.array(source.ends_us, np.int64)
        parts = []
        for index in np.flatnonzero((begins < hour_us + HOUR_US) & (ends > hour_us)).tolist():
            begin_us, end_us = source.begins_us[index], source.ends_us[index]
            mean = source.micro_messages[index] // max(1, self._fleet.lines)
            lines, times_us, numbers = self._counted(
                begin_us, end_us - begin_us, mean, begin_us // _INTERVAL_US
            )
            inside = (times_us >= hour_us) & (times_us < hour_us + HOUR_US)
            parts.append((lines[inside], times_us[inside], numbers[inside]))
        return _joined(parts)

    def _burst(self, hour_us: int, source: Burst) -> tuple[Ints, Ints, Ints]:
        parts = []
        for number in _burst_numbers(hour_us, source):
            begin_us = source.at_us + number * (source.repeat_us or 0)
            numbers = np.full(len(self._members), number, np.int64)
            first = self._words(Purpose.PLACE, self._members, numbers)
            if source.shape == "beta34":
                second = self._words(Purpose.PLACE, self._members, numbers, index=1)
                offsets = laws.beta34_many(np.column_stack((*first, *second[:2])), source.over_us)
            else:
                offsets = laws.below_many(first[0], source.over_us)
            times_us = begin_us + offsets
            inside = (times_us >= hour_us) & (times_us < hour_us + HOUR_US)
            parts.append((self._members[inside], times_us[inside], numbers[inside]))
        return _joined(parts)

    def _trace(self, hour_us: int, source: Trace) -> tuple[Ints, Ints, Ints]:
        times_us = np.array(source.times_us, np.int64)
        low, high = np.searchsorted(times_us, [hour_us, hour_us + HOUR_US])
        numbers = np.arange(low, high, dtype=np.int64)
        lines = np.array(source.lines, np.int64)[low:high]
        chosen = np.isin(lines, self._members)
        return lines[chosen], times_us[low:high][chosen], numbers[chosen]


def _burst_numbers(hour_us: int, source: Burst) -> range:
    """Return the repetitions of a burst that can reach into the hour."""
    if source.repeat_us is None:
        return range(1)
    first = max(0, (hour_us - source.over_us - source.at_us) // source.repeat_us)
    last = (hour_us + HOUR_US - 1 - source.at_us) // source.repeat_us
    return range(first, max(first, last + 1))


def _joined(parts: list[tuple[Ints, Ints, Ints]]) -> tuple[Ints, Ints, Ints]:
    if not parts:
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    lines, times_us, numbers = (np.concatenate(column) for column in zip(*parts, strict=True))
    return lines, times_us, numbers
