"""What one load is told: target, lines, mix, bounds. One document, the same for every process.

Owns: the document and its files. Does not own: the instants (``schedule``), written beside it.
Times: ``*_us`` of service time, ``*_s`` of this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from loadtests.schedule import Schedule, unpacked

if TYPE_CHECKING:
    from pathlib import Path

PLAN_FILE = "plan.json"
SCHEDULE_FILE = "schedule.npz"
STARTED_FILE = "started"
RESULTS_FILE = "results.json"

Kind = Literal["rating", "gateway"]


class LoadLine(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A line that takes part."""

    sim_id: str
    vpg_id: str
    operator_id: str
    group_id: str


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send where; together with a ``Schedule`` it decides every byte."""

    kind: Kind
    source: str
    """Begins the CloudEvents source of its events; each process adds its number."""
    seed: int
    processes: int
    begin_us: int
    """Service time when the load was planned: time of the event at offset 0."""
    addresses: dict[str, tuple[str, int]]
    """``api`` or entry points, by name."""
    lines: tuple[LoadLine, ...]
    token: str = ""
    batch: int = 1
    """Usage events of one request."""
    duplicates_ppm: int = 0
    """Of the events: those that are one of the last 1,000 events once more."""
    late_ppm: int = 0
    late_us: int = 0
    """So many of the events have a time so far back."""
    oldest_us: int = 0
    """No event is older: the VPGs are known to have existed then."""
    connections_max: int
    timeout_s: float


def write(folder: Path, plan: LoadPlan, schedule: Schedule) -> Path:
    """Write both into ``folder``; return the plan's path."""
    (folder / SCHEDULE_FILE).write_bytes(schedule.packed())
    path = folder / PLAN_FILE
    path.write_bytes(msgspec.json.encode(plan))
    return path


def read(path: Path) -> tuple[LoadPlan, Schedule]:
    """Return what ``write`` wrote."""
    plan = decoded(path.read_bytes())
    return plan, unpacked((path.parent / SCHEDULE_FILE).read_bytes())


def decoded(data: bytes) -> LoadPlan:
    """Return the plan in ``data``."""
    return msgspec.json.decode(data, type=LoadPlan)
