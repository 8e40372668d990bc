"""When a load means to send what: open-model schedules, written down before the first send.

Owns: the shapes (even, Poisson, steps, 3GPP model 2, a demand curve, a scenario's own arrivals) as
arrays in time order, their shares for several processes, and their bytes. Does not own: the laws of
a scenario's sources (``sim.traffic``) or any sending. Times: µs after the load's start.

Equal arguments give equal schedules on every machine.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vpg.rating.hourly import SERVICES
from vpg.timebase import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from loadtests.intended import Send

    Ints = npt.NDArray[np.int64]

SENDS_MAX = 10_000_000
"""Most sends of one load: about 0.5 GB of arrays."""
_GRID_US = 10_000
"""A demand curve is summed up in steps of this length."""
_COLUMNS = ("offsets_us", "lines", "bytes_up", "bytes_down", "services")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Intended sends in order of time; arrays of one length."""

    offsets_us: Ints
    lines: Ints
    """Place of the line in the list that the load knows."""
    bytes_up: Ints
    bytes_down: Ints
    services: Ints
    """Place in ``vpg.rating.hourly.SERVICES``."""

    def __len__(self) -> int:
        """Return how many sends."""
        return len(self.offsets_us)

    @property
    def length_us(self) -> int:
        """Time of the last send."""
        return int(self.offsets_us[-1]) if len(self) else 0

    def share(self, index: int, count: int) -> Schedule:
        """Return what process ``index`` of ``count`` sends: every ``count``-th, from ``index``."""
        return Schedule(**{name: getattr(self, name)[index::count] for name in _COLUMNS})

    def packed(self) -> bytes:
        """Return the arrays as bytes, for another process."""
        out = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        np.savez_compressed(out, **arrays)
        return out.getvalue()


def unpacked(data: bytes) -> Schedule:
    """Return the schedule that ``packed`` gave."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Schedule(**{name: arrays[name] for name in _COLUMNS})


def spread(
    offsets_us: Ints, *, lines: int, services: Sequence[str], bytes_up: int, bytes_down: int
) -> Schedule:
    """Return sends at ``offsets_us`` of ``lines`` lines in turn, over ``services`` in turn."""
    number = np.arange(len(offsets_us), dtype=np.int64)
    codes = np.array([SERVICES.index(name) for name in services], np.int64)
    return Schedule(
        offsets_us=offsets_us,
        lines=number % lines,
        bytes_up=np.full(len(number), bytes_up, np.int64),
        bytes_down=np.full(len(number), bytes_down, np.int64),
        services=codes[(number // lines + number) % len(codes)],
    )


def of_sends(
    sends: Iterable[Send],
    *,
    begin_us: int,
    speed: int,
    lines: Mapping[tuple[str, int], int],
    service: str = "",
) -> Schedule:
    """Return a scenario's sends ``speed`` times as fast; ``service``: all of them over that one.

    ``lines``: (fleet, number in it) → place. Sends of lines that it does not have are left out, as
    are those that pass no limiter (plain IP) unless ``service`` carries them.
    """
    rows = [
        (
            (send.intended_us - begin_us) // speed,
            lines[send.fleet, send.line],
            send.bytes_up,
            send.bytes_down,
            SERVICES.index(service or send.service),
        )
        for send in sends
        if (send.fleet, send.line) in lines and (service or send.service != "ip")
    ]
    columns = np.array(rows, np.int64).reshape(-1, len(_COLUMNS)).T
    return Schedule(**dict(zip(_COLUMNS, columns, strict=True)))


# ---- shapes --------------------------------------------------------------------------------------


def even(rate_per_s: int, for_s: int) -> Ints:
    """Return ``rate_per_s`` instants a second, evenly spaced.

    >>> even(4, 1).tolist()
    [0, 250000, 500000, 750000]
    """
    return np.arange(rate_per_s * for_s, dtype=np.int64) * SECOND_US // rate_per_s


def poisson(rate_per_s: int, for_s: int, seed: int) -> Ints:
    """Return instants with exponential gaps: independent arrivals, ``rate_per_s`` on average."""
    mean = rate_per_s * for_s
    draws = _generator(seed)
    count = int(draws.poisson(mean))
    # Given their number, the instants of a Poisson process are independent and uniform.
    found: Ints = np.sort(draws.integers(0, for_s * SECOND_US, count, dtype=np.int64))
    return found


def steps(parts: Sequence[tuple[int, int]]) -> Ints:
    """Return (requests a second, seconds) one after the other, each evenly spaced.

    >>> steps([(1, 2), (2, 1)]).tolist()
    [0, 1000000, 2000000, 2500000]
    """
    begins = np.cumsum([0, *(seconds for _, seconds in parts)]) * SECOND_US
    pieces = [begin + even(*part) for part, begin in zip(parts, begins.tolist(), strict=False)]
    return np.concatenate(pieces).astype(np.int64)


def model2(count: int, for_s: int, seed: int) -> Ints:
    """Return ``count`` devices' instants by traffic model 2: Beta(3, 4) over ``for_s``.

    Source: 3GPP TR 37.868 V11.0.0, section 6.1.1 (there 30,000 devices in 10 s).
    """
    drawn = _generator(seed).beta(3, 4, count) * for_s * SECOND_US
    return np.sort(drawn.astype(np.int64))


def demand(points: Sequence[tuple[float, float]]) -> Ints:
    """Return instants whose rate follows ``points`` (s, requests a second), straight between them.

    The k-th instant is where the area under the curve reaches k + 1/2.
    """
    at_s, rates = (np.array(column, np.float64) for column in zip(*points, strict=True))
    grid_s = np.arange(at_s[0], at_s[-1] + _GRID_US / SECOND_US / 2, _GRID_US / SECOND_US)
    rate = np.interp(grid_s, at_s, rates)
    area = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(grid_s))])
    wanted = np.arange(int(area[-1] + 0.5)) + 0.5
    offsets = np.interp(wanted[wanted < area[-1]], area, grid_s - at_s[0])
    found: Ints = (offsets * SECOND_US).astype(np.int64)
    return found


def demand_sends(points: Sequence[tuple[float, float]]) -> float:
    """Return about how many sends ``demand`` gives, without making them."""
    pairs = itertools.pairwise(points)
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairs)


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))
