"""What a sweep hands over: its axes, one row of figures a run and a point, and the tables of both.

Owns: the values between a sweep and its readers (working directory, tables, charts, terminal), and
their columns. Does not own: how keys are read, points computed (``sim.sweep``) or intervals made
(``sim.stats``). Durations are in µs, shares in parts per million rounded against the promise,
amounts in whole yen. A row with its identity in a scenario is exact: two sweeps of the same points
are equal row by row. Estimates over replications are rounded to thousandths of their unit.
"""

from __future__ import annotations

import itertools
import math
import re
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

import msgspec

from vpg.replications import FIGURES, SHARES, FigureName
from vpg.runtables import FileColumn, FileTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCHEMA = "vpgsim-sweep-v2"
RUNS_SCHEMA = "vpgsim-sweep-runs-v1"
PointVerdict = Literal["holds", "fails", "no_objectives", "partial"]
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?")


class Axis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One swept key of the scenario and its values, as YAML text, in the order they were given."""

    key: str
    values: tuple[str, ...]

    @property
    def numbers(self) -> tuple[Decimal, ...] | None:
        """The values as exact numbers; None when one of them is not a plain number."""
        if all(_NUMBER.fullmatch(value) for value in self.values):
            return tuple(Decimal(value) for value in self.values)
        return None

    @property
    def is_whole(self) -> bool:
        """Whether every value is a whole number, written as one."""
        return self.numbers is not None and not any("." in value for value in self.values)


class Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one run of a point came to; totals over all VPGs and the whole period."""

    point: int
    """Number of the point from 0; the last axis moves fastest."""
    values: tuple[str, ...]
    """One value of each axis, in the order of the axes."""
    accepted_share_ppm: int
    throttled_ppm: int
    refused_attach_ppm: int
    delay_us_p50: int
    delay_us_p99: int
    delay_us_max: int
    rate_peak_per_s: int
    lines_peak: int
    attempts: int
    messages_offered: int
    messages_delivered: int
    messages_lost: int
    messages_pending: int
    charges_tax_excluded_yen: int
    charges_tax_included_yen: int
    charges_complete: bool
    verdict: PointVerdict
    digest: str


class RunRow(Figures, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One replication of a point, with the counts that its shares are exact quotients of."""

    replication: int
    """0 is the plain run."""
    attempts_limited: int
    throttled_limited: int
    attach_attempts: int
    sessions_refused: int

    @property
    def charges_yen(self) -> int:
        """Tax included."""
        return self.charges_tax_included_yen


class Estimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mean of one figure over a point's replications and its 95 % interval.

    In the unit of the figure, shares in parts per million. Student's interval knows no bounds: that
    of a share may reach below 0 or above 1,000,000.
    """

    figure: FigureName
    mean: float
    lower: float | None
    """Null, as ``upper``, for one replication: it cannot tell."""
    upper: float | None


class PointRow(Figures, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One point: its plain run (replication 0), and what all of its replications say.

    The verdict alone is of all: it holds when every replication meets every objective.
    """

    replications: int
    objectives_met: int
    """Replications that met every objective."""
    until_met: bool | None
    """Whether the interval asked for was reached; null: none was."""
    estimates: tuple[Estimate, ...]

    def estimate(self, figure: FigureName) -> Estimate:
        """Return the estimate of ``figure``."""
        return next(one for one in self.estimates if one.figure == figure)


_FIGURES = (
    FileColumn(name="accepted_share_ppm", unit="ppm", note="messages delivered of those decided"),
    FileColumn(name="throttled_ppm", unit="ppm", note="attempts refused by the request limiter"),
    FileColumn(name="refused_attach_ppm", unit="ppm", note="attaches refused by the line cap"),
    FileColumn(name="delay_us_p50", unit="us", note="message created to accepted, median"),
    FileColumn(name="delay_us_p99", unit="us", note="message created to accepted, 99th percentile"),
    FileColumn(name="delay_us_max", unit="us", note="message created to accepted, largest"),
    FileColumn(name="rate_peak_per_s", unit="1/s", note="busiest second of any VPG"),
    FileColumn(name="lines_peak", unit="sessions", note="most at once in any VPG"),
    FileColumn(name="attempts", unit="attempts", note="of all services"),
    FileColumn(name="messages_offered", unit="messages"),
    FileColumn(name="messages_delivered", unit="messages"),
    FileColumn(name="messages_lost", unit="messages"),
    FileColumn(name="messages_pending", unit="messages", note="undecided at the end"),
    FileColumn(name="charges_tax_excluded_yen", unit="yen"),
    FileColumn(name="charges_tax_included_yen", unit="yen"),
    FileColumn(name="charges_complete", note="0: something used has no price and is not in it"),
    FileColumn(name="verdict", is_text=True, note="of the scenario's objectives"),
    FileColumn(name="digest", is_text=True, note="SHA-256 of the run's hourly metrics"),
)
_RUN = (
    FileColumn(name="replication", note="its number; 0 is the plain run"),
    *_FIGURES,
    FileColumn(name="attempts_limited", unit="attempts", note="of limited services"),
    FileColumn(name="throttled_limited", unit="attempts", note="of limited services"),
    FileColumn(name="attach_attempts", unit="attempts", note="to create a session"),
    FileColumn(name="sessions_refused", unit="attempts", note="by the line cap"),
)
_UNITS: dict[FigureName, str] = {
    "delay_us_p99": "us",
    "rate_peak_per_s": "1/s",
    "lines_peak": "sessions",
    "charges_yen": "yen",
    "lost_messages": "messages",
}
_PARTS: tuple[tuple[Literal["mean", "lower", "upper"], str], ...] = (
    ("mean", "over the replications"),
    ("lower", "end of the 95 % interval; empty for one replication"),
    ("upper", "end of the 95 % interval; empty for one replication"),
)


def estimate_name(figure: FigureName) -> str:
    """Return the beginning of the names of the columns of a figure's estimate."""
    return f"{figure}_ppm" if figure in SHARES else figure


_ESTIMATES = (
    FileColumn(name="replications", note="that the estimates are of"),
    FileColumn(name="objectives_met", note="replications that met every objective"),
    FileColumn(name="until_met", nullable=True, note="1: the interval asked for was reached"),
    *(
        FileColumn(
            name=f"{estimate_name(figure)}_{part}",
            unit=_UNITS.get(figure, "ppm"),
            is_estimate=True,
            nullable=part != "mean",
            note=note,
        )
        for figure in FIGURES
        for part, note in _PARTS
    ),
)


def point_count(axes: Sequence[Axis]) -> int:
    """Return the number of points of the grid."""
    return math.prod(len(axis.values) for axis in axes)


def points(axes: Sequence[Axis]) -> Iterator[tuple[str, ...]]:
    """Return the values of each point in order: the last axis moves fastest.

    >>> list(points([Axis(key="a", values=("1", "2")), Axis(key="b", values=("x", "y"))]))
    [('1', 'x'), ('1', 'y'), ('2', 'x'), ('2', 'y')]
    """
    return itertools.product(*(axis.values for axis in axes))


def short_keys(axes: Sequence[Axis]) -> list[str]:
    """Return each key's last step, as far as that tells the axes apart; else the whole key.

    >>> short_keys([Axis(key="vpgs[0].size", values=("small",)), Axis(key="seed", values=("1",))])
    ['size', 'seed']
    """
    last = [axis.key.rpartition(".")[2] for axis in axes]
    return [one if last.count(one) == 1 else axis.key for one, axis in zip(last, axes, strict=True)]


def point_table(axes: Sequence[Axis]) -> FileTable[SimpleNamespace]:
    """Return the columns of a sweep's table: the point, its keys, its plain run, its estimates.

    Keys of whole numbers are integers, all others text as it was written.
    """
    return _table(SCHEMA, axes, (*_FIGURES, *_ESTIMATES))


def run_table(axes: Sequence[Axis]) -> FileTable[SimpleNamespace]:
    """Return the columns of the table of a sweep's replications: the point, its keys, one run."""
    return _table(RUNS_SCHEMA, axes, _RUN)


def _table(
    schema: str, axes: Sequence[Axis], more: tuple[FileColumn, ...]
) -> FileTable[SimpleNamespace]:
    keys = tuple(
        FileColumn(name=axis.key, is_text=not axis.is_whole, note="swept key") for axis in axes
    )
    first = FileColumn(name="point", note="from 0; the last swept key moves fastest")
    return FileTable(schema_name=schema, columns=(first, *keys, *more), make=SimpleNamespace)


def table_rows(axes: Sequence[Axis], rows: Sequence[PointRow]) -> list[SimpleNamespace]:
    """Return ``rows`` as rows of ``point_table``, by point."""
    found = []
    for row in sorted(rows, key=lambda row: row.point):
        cells = _cells(axes, row, _FIGURES)
        cells |= {"replications": row.replications, "objectives_met": row.objectives_met}
        cells["until_met"] = None if row.until_met is None else int(row.until_met)
        for one in row.estimates:
            for part, _ in _PARTS:
                cells[f"{estimate_name(one.figure)}_{part}"] = getattr(one, part)
        found.append(SimpleNamespace(**cells))
    return found


def run_rows(axes: Sequence[Axis], rows: Sequence[RunRow]) -> list[SimpleNamespace]:
    """Return ``rows`` as rows of ``run_table``, by point and replication."""
    ordered = sorted(rows, key=lambda row: (row.point, row.replication))
    return [SimpleNamespace(**_cells(axes, row, _RUN)) for row in ordered]


def _cells(
    axes: Sequence[Axis], row: Figures, columns: tuple[FileColumn, ...]
) -> dict[str, object]:
    keys = {
        axis.key: int(value) if axis.is_whole else value
        for axis, value in zip(axes, row.values, strict=True)
    }
    figures = {column.name: getattr(row, column.name) for column in columns}
    figures["charges_complete"] = int(row.charges_complete)
    return {"point": row.point, **keys, **figures}
