"""What the gate measures, and the file it is kept in: closed, with its version first.

Owns: the figures with their bands, the budgets, and the recording (``vpgsim-gate-recording-v1``),
which is also a stored baseline. Does not own: how anything is measured (``rounds.py``) or what
follows from it (``decision.py``). A recording holds all that a decision needs, so that it can be
decided again anywhere, without a clock. Times: units are in the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

BASE: Final = "base"
CONTROL: Final = "control"
HEAD: Final = "head"
"""Who takes turns. The control is the base once more, as another process; against a stored
baseline it is the head once more."""
SCHEMA: Final = "vpgsim-gate-recording-v1"
Yardstick = Literal["cpu", "wall", ""]
_T = TypeVar("_T")


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every part of a document is: closed and immutable."""


# ---- what is measured ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the clock and what change of it matters."""

    name: str
    unit: str
    band: float
    """A change up to this share is none that matters."""
    more_is_better: bool = False
    yardstick: Yardstick = ""
    """What of the reference workload it is divided by, against a stored baseline."""

    def of(self, sample: Sample) -> float:
        """Return this figure of ``sample``."""
        return float(getattr(sample, self.name))


FIGURES: Final = (
    Figure(name="singles_per_s", unit="events/s", band=0.04, more_is_better=True, yardstick="wall"),
    Figure(name="batched_per_s", unit="events/s", band=0.05, more_is_better=True, yardstick="wall"),
    Figure(name="cpu_us_per_single", unit="µs", band=0.04, yardstick="cpu"),
    Figure(name="cpu_us_per_batched", unit="µs", band=0.05, yardstick="cpu"),
    Figure(name="latency_us_p50", unit="µs", band=0.10, yardstick="wall"),
    Figure(name="latency_us_p99", unit="µs", band=0.25, yardstick="wall"),
    Figure(name="memory_kib", unit="KiB", band=0.05),
)
BUDGETS: Final = {
    "commits_singles": 0,
    "commits_batches": 0,
    "calls_singles": 50,
    "calls_batches": 80,
    "bytes_singles": 10,
    "bytes_batches": 10,
}
"""Budget → thousandths by which the head may exceed the base: what timers of the service do
meanwhile. Each is counted for 1,000 events sent one after the other, alone or in batches of 100."""


class Sample(Part, frozen=True, kw_only=True):
    """One round of one service."""

    singles_per_s: float
    """Durable single events acknowledged per second, 32 connections, closed loop."""
    batched_per_s: float
    """Durable events per second in batches of 100, 8 connections, closed loop."""
    cpu_us_per_single: float
    """Processor time of the service per event."""
    cpu_us_per_batched: float
    latency_us_p50: float
    """From the intended time, single events at half of what the base sustains."""
    latency_us_p99: float
    memory_kib: float
    """Resident memory after the round; every service has had the same load by then."""
    late_us_p99: float
    """How late the client sent; told, not judged: it shares the service's core."""
    client_cpu_us: float
    """Processor time of the client per single event: the same work in every round."""


class Reference(Part, frozen=True, kw_only=True):
    """The reference workload, once: work that no revision changes."""

    cpu_us: float
    wall_us: float
    """With its commits to the disk."""


class Round(Part, frozen=True, kw_only=True):
    """Every service once, in turns."""

    samples: dict[str, Sample]
    reference: Reference


class Count(Part, frozen=True, kw_only=True):
    """What became of one service's events over one restart."""

    acknowledged: int
    stored: int
    refused: int
    unknown: int

    @property
    def lost(self) -> int:
        """Acknowledged and not counted."""
        return max(0, self.acknowledged - self.stored)

    @property
    def doubled(self) -> int:
        """Counted more than once, or without having been sent."""
        return max(0, self.stored - self.acknowledged - self.unknown)


class Restart(Part, frozen=True, kw_only=True):
    """One life of every service, with fresh stores."""

    rounds: list[Round]
    counts: dict[str, Count]
    budgets: dict[str, dict[str, float]]
    """Role → budget → what was spent per 1,000 events; calls are missing where nothing counts
    them."""


class Canary(Part, frozen=True, kw_only=True):
    """The machine itself, before or after."""

    cpu_us: float
    """A fixed slice of work on the gate's core, the fastest tenth."""
    sync_us: float
    """One fdatasync where the stores lie, median."""
    cross_core_us: float | None
    """A byte from core to core and back, median; null with one core."""


class Revision(Part, frozen=True, kw_only=True):
    """Which code one side was."""

    name: str
    commit: str
    """Empty: no git there."""
    changed: bool = False
    """Files differed from the commit."""
    own_environment: bool = False
    """Third-party packages were installed for it, as its pins differ."""


class Machine(Part, frozen=True, kw_only=True):
    """Where it ran."""

    processor: str
    cores: int
    system: str
    python: str
    core: int | None
    """Core that services and client shared; null: they could not be pinned."""
    steal: float
    """Share of the time that the host took away meanwhile."""


class Recording(Part, frozen=True, kw_only=True):
    """Everything one job measured."""

    schema_version: Literal["vpgsim-gate-recording-v1"] = SCHEMA
    date: str
    """UTC day."""
    seed: int
    rate_per_s: float
    """Of the latency rounds."""
    machine: Machine
    revisions: dict[str, Revision]
    canaries: list[Canary]
    """Before, and after."""
    restarts: list[Restart]


class RecordingError(Exception):
    """A file is no recording this version can read; the text says why."""


def decode(data: bytes) -> Recording:
    """Read a recording; raises ``RecordingError``."""
    try:
        version = msgspec.json.decode(data, type=dict).get("schema_version", "")
    except msgspec.DecodeError as error:
        raise RecordingError(str(error)) from error
    if version != SCHEMA:
        raise RecordingError(f"its schema_version is {version!r}, not {SCHEMA!r}")
    try:
        found = msgspec.json.decode(data, type=Recording)
    except msgspec.ValidationError as error:
        raise RecordingError(str(error)) from error
    check(found)
    return found


def encode(recording: Recording) -> bytes:
    """Return the recording as a file's content, rounded to what was measured."""
    plain = _rounded(msgspec.to_builtins(recording))
    return msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def check(recording: Recording) -> None:
    """Raise ``RecordingError`` unless it is whole: all roles in all rounds, figures above 0."""
    roles = set(recording.revisions)
    if not recording.restarts or len(recording.canaries) != len(("before", "after")):
        raise RecordingError("it has no restarts, or not two canaries")
    for restart in recording.restarts:
        if not restart.rounds or len(restart.rounds) != len(recording.restarts[0].rounds):
            raise RecordingError("its restarts have not the same number of rounds, one or more")
        if set(restart.counts) != roles or set(restart.budgets) != roles:
            raise RecordingError(f"a restart does not count for exactly {sorted(roles)}")
        for one in restart.rounds:
            if set(one.samples) != roles:
                raise RecordingError(f"a round has not exactly {sorted(roles)}")
            values = [figure.of(found) for found in one.samples.values() for figure in FIGURES]
            if not all(0 < value < float("inf") for value in values):
                raise RecordingError("a figure is not above 0")


def chosen(recording: Recording, roles: dict[str, str]) -> Recording:
    """Return what was recorded of some services, renamed: ``roles`` is new name → recorded."""

    def of(found: dict[str, _T]) -> dict[str, _T]:
        return {name: found[was] for name, was in roles.items()}

    change: Callable[..., Recording] = msgspec.structs.replace
    return change(
        recording,
        revisions=of(recording.revisions),
        restarts=[
            Restart(
                rounds=[
                    Round(samples=of(one.samples), reference=one.reference)
                    for one in restart.rounds
                ],
                counts=of(restart.counts),
                budgets=of(restart.budgets),
            )
            for restart in recording.restarts
        ],
    )
