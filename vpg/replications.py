"""Replications of one scenario: what each of them says in one row, and the figures of a row.

Owns: the table ``replications`` of a run directory and the names of its figures. Does not own: how
replications are run (``sim.replicate``) or what several of them say together (``sim.stats``).
Units: as the names end; shares in the table are parts per million, rounded as objectives round
them; ``charges_yen`` is tax included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from vpg.errors import ensure
from vpg.runtables import FileColumn, FileTable

SCHEMA = "vpgsim-replications-v1"

FigureName = Literal[
    "accepted_share",
    "throttled_share",
    "refused_attach_share",
    "delay_us_p99",
    "rate_peak_per_s",
    "lines_peak",
    "charges_yen",
    "lost_messages",
]
FIGURES: tuple[FigureName, ...] = get_args(FigureName)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationRow:
    """One replication; percentiles and peaks are those of the worst VPG, as in objectives."""

    replication: int
    """0 is the run that ``vpg run`` without replications makes."""
    messages_offered: int
    messages_delivered: int
    messages_lost: int
    attempts_limited: int
    """Of the limited services, as ``throttled_limited``."""
    throttled_limited: int
    attach_attempts: int
    sessions_refused: int
    accepted_share_ppm: int
    throttled_share_ppm: int
    refused_attach_share_ppm: int
    delay_us_p99: int
    rate_peak_per_s: int
    lines_peak: int
    charges_yen: int
    objectives_missed: int
    digest: str
    """Of the replication's whole hourly table."""


REPLICATIONS = FileTable(
    schema_name=SCHEMA,
    columns=(
        FileColumn(name="replication", note="its number; 0 is the plain run"),
        FileColumn(name="messages_offered", unit="messages", note="created"),
        FileColumn(name="messages_delivered", unit="messages", note="accepted in the end"),
        FileColumn(name="messages_lost", unit="messages", note="given up or dropped"),
        FileColumn(name="attempts_limited", unit="attempts", note="of limited services"),
        FileColumn(name="throttled_limited", unit="attempts", note="of limited services"),
        FileColumn(name="attach_attempts", unit="attempts", note="to create a session"),
        FileColumn(name="sessions_refused", unit="attempts", note="by the line cap"),
        FileColumn(name="accepted_share_ppm", unit="ppm", note="delivered of delivered and lost"),
        FileColumn(name="throttled_share_ppm", unit="ppm", note="throttled of attempts"),
        FileColumn(name="refused_attach_share_ppm", unit="ppm", note="refused of attach attempts"),
        FileColumn(name="delay_us_p99", unit="us", note="of the worst VPG"),
        FileColumn(name="rate_peak_per_s", unit="1/s", note="of the worst VPG"),
        FileColumn(name="lines_peak", unit="sessions", note="of the worst VPG"),
        FileColumn(name="charges_yen", unit="yen", note="tax included"),
        FileColumn(name="objectives_missed", note="how many of the scenario's"),
        FileColumn(name="digest", is_text=True, note="of the hourly table"),
    ),
    make=ReplicationRow,
)


SHARES: tuple[FigureName, ...] = ("accepted_share", "throttled_share", "refused_attach_share")
"""Figures that are a part of a whole; a share of nothing is what its objective takes it for."""


class Counted(Protocol):
    """What a share is made of: a row of this table, or totals."""

    @property
    def messages_delivered(self) -> int:
        """Accepted in the end."""

    @property
    def messages_lost(self) -> int:
        """Given up or dropped."""

    @property
    def attempts_limited(self) -> int:
        """Of limited services."""

    @property
    def throttled_limited(self) -> int:
        """Of limited services."""

    @property
    def attach_attempts(self) -> int:
        """To create a session."""

    @property
    def sessions_refused(self) -> int:
        """By the line cap."""


class Figured(Counted, Protocol):
    """What every figure can be read of: a row of this table, or of a sweep's."""

    @property
    def delay_us_p99(self) -> int:
        """Of the worst VPG."""

    @property
    def rate_peak_per_s(self) -> int:
        """Of the worst VPG."""

    @property
    def lines_peak(self) -> int:
        """Of the worst VPG."""

    @property
    def charges_yen(self) -> int:
        """Tax included."""


def value_of(row: Figured, figure: FigureName) -> float:
    """Return a figure of ``row``: a share as a part of 1, anything else in its own unit."""
    if figure in SHARES:
        return share_of(row, figure)
    return float(row.messages_lost if figure == "lost_messages" else getattr(row, figure))


def share_of(counted: Counted, figure: FigureName) -> float:
    """Return a share as a part of 1."""
    if figure == "accepted_share":
        decided = counted.messages_delivered + counted.messages_lost
        return counted.messages_delivered / decided if decided else 1.0
    if figure == "throttled_share":
        part, whole = counted.throttled_limited, counted.attempts_limited
    else:
        ensure(figure == "refused_attach_share", f"{figure} is a share")
        part, whole = counted.sessions_refused, counted.attach_attempts
    return part / whole if whole else 0.0
