"""What a sweep hands over: its axes, one row of figures a point, and the table of both.

Owns: the values between a sweep and its readers (working directory, table, charts, terminal), and
their columns. Does not own: how keys are read or points computed (``sim.sweep``). Durations are in
µs, shares in parts per million rounded against the promise, amounts in whole yen. A row with its
identity in a scenario is exact: two sweeps of the same points are equal row by row.
"""

from __future__ import annotations

import itertools
import math
import re
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

import msgspec

from vpg.runtables import FileColumn, FileTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCHEMA = "vpgsim-sweep-v1"
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


class PointRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one point of a sweep came to; totals over all VPGs and the whole period."""

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
    FileColumn(name="digest", is_text=True, note="SHA-256 of the point's hourly metrics"),
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
    """Return the columns of a sweep's table: the point, its keys, its figures.

    Keys of whole numbers are integers, all others text as it was written.
    """
    keys = tuple(
        FileColumn(name=axis.key, is_text=not axis.is_whole, note="swept key") for axis in axes
    )
    first = FileColumn(name="point", note="from 0; the last swept key moves fastest")
    return FileTable(schema_name=SCHEMA, columns=(first, *keys, *_FIGURES), make=SimpleNamespace)


def table_rows(axes: Sequence[Axis], rows: Sequence[PointRow]) -> list[SimpleNamespace]:
    """Return ``rows`` as rows of ``point_table``, by point."""
    return [_cells(axes, row) for row in sorted(rows, key=lambda row: row.point)]


def _cells(axes: Sequence[Axis], row: PointRow) -> SimpleNamespace:
    keys = {
        axis.key: int(value) if axis.is_whole else value
        for axis, value in zip(axes, row.values, strict=True)
    }
    figures = {column.name: getattr(row, column.name) for column in _FIGURES}
    figures["charges_complete"] = int(row.charges_complete)
    return SimpleNamespace(point=row.point, **keys, **figures)
