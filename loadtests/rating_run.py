"""The load of the rating path: usage events, single or in batches, with copies and late ones.

Owns: every event's name, time and bytes, as a function of plan, schedule and process number (so
they can be made again), and what is known of each after its answers. Does not own: sending.
Times: ``SimUs``: an event's time is the load's begin in service time and its intended offset.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from loadtests.result import Tally
from vpg.rating.hourly import SERVICES
from vpg.service.keys import Keys
from vpg.timebase import HOUR_US, iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from loadtests.plan import LoadPlan
    from loadtests.pool import Address
    from loadtests.result import Ending
    from loadtests.schedule import Schedule

EVENTS_MAX: Final = 10_000_000
BATCH_MAX: Final = 100
COPY_REACH: Final = 1_000
"""A copy is of one of so many events before it."""
_RING: Final = 8 * COPY_REACH + 2 * BATCH_MAX
_MILLION: Final = 1_000_000
UNSENT, UNKNOWN, ACKNOWLEDGED, REFUSED = range(4)
_OK: Final = (200, 204)
_MULTI: Final = 207
_TOLD_MAX: Final = 5
_BAD: Final = range(400, 500)


class Events:
    """The events of one process, in order of their sending."""

    def __init__(self, plan: LoadPlan, share: Schedule, index: int) -> None:
        """Decide everything about them."""
        batch, count = plan.batch, len(share) * plan.batch
        draws = np.random.Generator(np.random.Philox(key=(plan.seed << 64) + index + 1))
        place = np.arange(count, dtype=np.int64)
        self.count = count
        self.batch = batch
        self.is_late = draws.integers(0, _MILLION, count) < plan.late_ppm
        at_us = plan.begin_us + np.repeat(share.offsets_us, batch) - self.is_late * plan.late_us
        self.at_us = np.maximum(at_us, plan.oldest_us)
        self.lines = (np.repeat(share.lines, batch) + place % batch) % len(plan.lines)
        self.bytes_up = np.repeat(share.bytes_up, batch)
        self.bytes_down = np.repeat(share.bytes_down, batch)
        self.services = np.repeat(share.services, batch)
        self.originals = _originals(draws, place, plan.duplicates_ppm)
        self._source = f"{plan.source}:{index}"
        self._heads = [self._head(one.sim_id) for one in plan.lines]
        self._tails = [
            [_tail(one.operator_id, one.vpg_id, service) for service in SERVICES]
            for one in plan.lines
        ]
        self._keys = Keys(index + 1)
        self._recent: OrderedDict[int, bytes] = OrderedDict()

    def _head(self, sim_id: str) -> bytes:
        text = msgspec.json.encode(
            {
                "specversion": "1.0",
                "type": "request.v1",
                "source": self._source,
                "subject": sim_id,
                "datacontenttype": "application/json",
            }
        )
        return text[:-1]

    def each(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number and JSON of each event that is sent; a copy has its original's."""
        columns = zip(
            self.originals.tolist(),
            self.at_us.tolist(),
            self.lines.tolist(),
            self.services.tolist(),
            self.bytes_up.tolist(),
            self.bytes_down.tolist(),
            strict=True,
        )
        for number, (original, *figures) in enumerate(columns):
            text = self._recent.get(original)
            if text is None:
                text = self._recent[number] = self._event(*figures)
                if len(self._recent) > _RING:
                    self._recent.popitem(last=False)
            yield original, text

    def bodies(self) -> Iterator[tuple[list[int], bytes]]:
        """Yield each request: the numbers of its events and their JSON, an array for a batch."""
        numbers: list[int] = []
        texts: list[bytes] = []
        for number, text in self.each():
            numbers.append(number)
            texts.append(text)
            if len(numbers) == self.batch:
                yield numbers, b"[" + b",".join(texts) + b"]" if self.batch > 1 else texts[0]
                numbers, texts = [], []

    def _event(self, at_us: int, line: int, service: int, up: int, down: int) -> bytes:
        return b'%b,"id":"%b","time":"%b","data":{%b,"bytesUp":%d,"bytesDown":%d}}' % (
            self._heads[line],
            self._keys.next(at_us).encode(),
            iso_utc(at_us).encode(),
            self._tails[line][service],
            up,
            down,
        )

    def tallies(self, plan: LoadPlan, chosen: npt.NDArray[np.bool_], outcome: str) -> list[Tally]:
        """Return the ``chosen`` events by VPG, service and clock hour."""
        names = sorted({one.vpg_id for one in plan.lines})
        vpg_of = np.array([names.index(one.vpg_id) for one in plan.lines], np.int64)
        hours = self.at_us[chosen] // HOUR_US
        key = np.stack([vpg_of[self.lines[chosen]], self.services[chosen], hours])
        found, place, counts = np.unique(key, axis=1, return_inverse=True, return_counts=True)
        groups = place.reshape(-1)
        sums = []
        for column in (self.bytes_up, self.bytes_down):
            total = np.zeros(len(counts), np.int64)
            np.add.at(total, groups, column[chosen])
            sums.append(total.tolist())
        return [
            Tally(
                vpg_id=names[vpg],
                service=SERVICES[service],
                outcome=outcome,
                hour_start_us=hour * HOUR_US,
                requests=requests,
                bytes_up=up,
                bytes_down=down,
            )
            for (vpg, service, hour), requests, up, down in zip(
                found.T.tolist(), counts.tolist(), *sums, strict=True
            )
        ]


def _tail(operator_id: str, vpg_id: str, service: str) -> bytes:
    data = {
        "operatorId": operator_id,
        "vpgId": vpg_id,
        "service": service,
        "outcome": "accepted",
    }
    return msgspec.json.encode(data)[1:-1]


def _originals(
    draws: np.random.Generator, place: npt.NDArray[np.int64], copies_ppm: int
) -> npt.NDArray[np.int64]:
    """Return for each event the number of the one that it is: mostly its own."""
    copies = draws.integers(0, _MILLION, len(place)) < copies_ppm
    back = draws.integers(1, COPY_REACH + 1, len(place))
    found = np.where(copies, np.maximum(place - back, 0), place)
    while (again := found[found]).tolist() != found.tolist():
        found = again  # A copy of a copy is one of the first.
    return np.where(place - found < _RING - BATCH_MAX, found, place)


class RatingSource:
    """Requests of one process, and what is known of their events."""

    def __init__(self, plan: LoadPlan, share: Schedule, index: int) -> None:
        """Prepare to make the first request."""
        self._plan = plan
        self.events = Events(plan, share, index)
        self._bodies = self.events.bodies()
        self._address = plan.addresses["api"]
        kind = "cloudevents-batch" if plan.batch > 1 else "cloudevents"
        token = f"Authorization: Bearer {plan.token}\r\n" if plan.token else ""
        host = f"{self._address[0]}:{self._address[1]}"
        self._head = (
            f"POST /v1/usage-events HTTP/1.1\r\nHost: {host}\r\n"
            f"Content-Type: application/{kind}+json\r\n{token}Content-Length: %d\r\n\r\n%b"
        ).encode()
        self._numbers: dict[int, list[int]] = {}
        self.states = bytearray(self.events.count)
        self.unexpected: list[str] = []
        self.name = "POST /v1/usage-events"

    def request(self, slot: int) -> tuple[Address, bytes]:
        """Return where request ``slot`` goes and its bytes; called once for each, in order."""
        numbers, body = next(self._bodies)
        self._numbers[slot] = numbers
        return self._address, self._head % (len(body), body)

    def leaving(self, slot: int) -> None:
        """Note that it leaves now."""
        for number in self._numbers[slot]:
            if self.states[number] == UNSENT:
                self.states[number] = UNKNOWN

    def ended(self, slot: int, status: int, body: bytes) -> Ending:
        """Take the answer to request ``slot``."""
        numbers = self._numbers.pop(slot)
        if status in _OK:
            for number in numbers:
                self.states[number] = ACKNOWLEDGED
            return "accepted"
        if status == _MULTI:
            self._multi(numbers, body)
            return "refused"
        if status in _BAD:
            self._refused(status, body)
            for number in numbers:
                if self.states[number] != ACKNOWLEDGED:
                    self.states[number] = REFUSED
            return "refused"
        return "refused" if status > 0 else "unanswered"

    def _multi(self, numbers: list[int], body: bytes) -> None:
        refused = {one["index"] for one in msgspec.json.decode(body)["refused"]}
        self._refused(_MULTI, body)
        for index, number in enumerate(numbers):
            if index not in refused:
                self.states[number] = ACKNOWLEDGED
            elif self.states[number] != ACKNOWLEDGED:
                self.states[number] = REFUSED

    def _refused(self, status: int, body: bytes) -> None:
        if len(self.unexpected) < _TOLD_MAX:
            self.unexpected.append(f"{status} {body[:200].decode(errors='replace')}")

    def tallies(self) -> list[Tally]:
        """Return what was acknowledged, by the hours that must have it."""
        states = np.frombuffer(self.states, np.uint8)
        return self.events.tallies(self._plan, states == ACKNOWLEDGED, "accepted")

    def unknown(self) -> list[int]:
        """Return the numbers of events that were sent and neither acknowledged nor refused."""
        states = np.frombuffer(self.states, np.uint8)
        return [int(number) for number in np.flatnonzero(states == UNKNOWN)]

    def counts(self) -> dict[str, int]:
        """Return how many events of their own, copies and late ones were sent."""
        states = np.frombuffer(self.states, np.uint8)
        events = self.events
        known = states != UNSENT
        sent = known[events.originals]
        is_copy = events.originals != np.arange(events.count)
        return {
            "events": int(np.count_nonzero(known)),
            "duplicates": int(np.count_nonzero(sent & is_copy)),
            "late": int(np.count_nonzero(known & events.is_late)),
        }
