"""The tables of a run directory as Parquet and CSV; equal rows give equal bytes.

Owns: the columns of ``charges``, ``delays`` and ``peaks`` as files, and both encodings. Does not
own: the hourly columns (``vpg.rating.hourly``) or where bytes go (``vpg.rundir``). Times: ``*_us``
is ``SimUs``, as the unit in each field's metadata says. Integers are int64, text is UTF-8; only
estimates over several replications, which are no count, time or yen, are float64. CSV alone has
readable forms beside some integers: the hour in JST, whole sums in yen.
"""

from __future__ import annotations

import csv
import functools
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from vpg.billing.money import yen_text
from vpg.billing.month import MonthToDate
from vpg.errors import ensure
from vpg.rating import charges, hourly
from vpg.rating.charges import ChargeRow
from vpg.rating.hourly import HourlyRow
from vpg.results import MinuteRow
from vpg.timebase import iso_jst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vpg.results import RowKey

RowT = TypeVar("RowT")

_COMPRESSION = "zstd"
_COMPRESSION_LEVEL = 3
_ROW_GROUP_ROWS = 131_072
_READABLE: dict[str, tuple[str, Callable[[int], str]]] = {
    "hour_start_us": ("hour_start_jst", functools.lru_cache(iso_jst)),
    "cumulative_micro_yen": ("cumulative_yen", yen_text),
}
"""Column → the name of the text right behind it in CSV, and how that reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileColumn:
    """One column as it is stored."""

    name: str
    unit: str = ""
    is_text: bool = False
    is_estimate: bool = False
    """A float, rounded by whoever made it so that every platform writes the same."""
    nullable: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTable(Generic[RowT]):
    """One kind of table: its versioned name, its columns, and the value a row becomes when read."""

    schema_name: str
    columns: tuple[FileColumn, ...]
    make: Callable[..., RowT]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def csv_names(self) -> tuple[str, ...]:
        """Names of the columns of the CSV form: readable forms stand behind their integers."""
        pairs = ((name, _READABLE.get(name)) for name in self.names)
        return tuple(n for name, text in pairs for n in (name, *(text[:1] if text else ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayCount:
    """One bucket of one row's delay histogram."""

    vpg_id: str
    hour_start_us: int
    config_seq: int
    bucket: int
    count: int


_VPG = FileColumn(name="vpg_id", is_text=True, note="the VPG")

HOURLY = FileTable(
    schema_name=hourly.SCHEMA,
    columns=tuple(
        FileColumn(name=c.name, unit=c.unit, is_text=c.is_text, note=c.text) for c in hourly.COLUMNS
    ),
    make=HourlyRow,
)
CHARGES = FileTable(
    schema_name=charges.SCHEMA,
    columns=(
        _VPG,
        FileColumn(name="hour_start_us", unit="us", note="start of the clock hour, UTC"),
        FileColumn(name="bill_item", is_text=True, note="what is charged"),
        FileColumn(name="quantity", note="how many of it"),
        FileColumn(
            name="unit_price_micro_yen",
            unit="micro-yen",
            nullable=True,
            note="tax excluded; null: unpriced",
        ),
        FileColumn(
            name="amount_micro_yen",
            unit="micro-yen",
            nullable=True,
            note="tax excluded; null: unpriced",
        ),
    ),
    make=ChargeRow,
)
MONTH_TO_DATE = FileTable(
    schema_name="vpgsim-month-to-date-v1",
    columns=(
        FileColumn(name="month", is_text=True, note="rating month, yyyyMM"),
        FileColumn(name="hour_start_us", unit="us", note="start of the clock hour, UTC"),
        FileColumn(
            name="cumulative_micro_yen",
            unit="micro-yen",
            note="since the month began, this hour included; all VPGs, tax excluded",
        ),
    ),
    make=MonthToDate,
)
DELAYS = FileTable(
    schema_name="vpgsim-delays-v1",
    columns=(
        _VPG,
        FileColumn(name="hour_start_us", unit="us", note="start of the clock hour, UTC"),
        FileColumn(name="config_seq", note="as in the hourly table"),
        FileColumn(name="bucket", note="exact below 256 us, then 128 to a doubling"),
        FileColumn(name="count", unit="messages", note="delivered with a delay in the bucket"),
    ),
    make=DelayCount,
)
PEAKS = FileTable(
    schema_name="vpgsim-peaks-v1",
    columns=(
        _VPG,
        FileColumn(name="minute_start_us", unit="us", note="start of the UTC minute"),
        FileColumn(name="attempts", unit="attempts", note="at the request limiter"),
        FileColumn(name="accepted", unit="attempts", note="of limited services"),
        FileColumn(name="throttled", unit="attempts", note="of limited services"),
        FileColumn(name="busiest_second_us", unit="us", note="first UTC second with the peak"),
        FileColumn(name="rate_peak_per_s", unit="1/s", note="attempts in that second"),
        FileColumn(name="attach_attempts", unit="attempts", note="to create a session"),
        FileColumn(name="sessions_refused", unit="attempts", note="by the line cap"),
        FileColumn(name="lines_peak", unit="sessions", note="most at once"),
    ),
    make=MinuteRow,
)


def delay_counts(delays: Mapping[RowKey, Mapping[int, int]]) -> list[DelayCount]:
    """Return ``delays`` flat, sorted by key and bucket."""
    return [
        DelayCount(
            vpg_id=key[0],
            hour_start_us=key[1],
            config_seq=key[2],
            bucket=bucket,
            count=counts[bucket],
        )
        for key, counts in sorted(delays.items())
        for bucket in sorted(counts)
    ]


def delay_histograms(counts: Iterable[DelayCount]) -> dict[RowKey, dict[int, int]]:
    """Return the histograms that ``delay_counts`` made flat."""
    delays: dict[RowKey, dict[int, int]] = {}
    for one in counts:
        key = (one.vpg_id, one.hour_start_us, one.config_seq)
        delays.setdefault(key, {})[one.bucket] = one.count
    return delays


def to_csv(table: FileTable[RowT], rows: Iterable[RowT]) -> bytes:
    """Return ``rows`` as CSV: UTF-8, header, LF, null as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.csv_names)
    for row in rows:
        cells: list[object] = []
        for name in table.names:
            cell = getattr(row, name)
            cells.append("" if cell is None else cell)
            if name in _READABLE:
                cells.append(_READABLE[name][1](cell))
        writer.writerow(cells)
    return text.getvalue().encode()


def _arrow_schema(table: FileTable[RowT]) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa  # noqa: PLC0415 - start-up: only commands that write tables pay for it

    fields = [
        pa.field(
            column.name,
            pa.string() if column.is_text else pa.float64() if column.is_estimate else pa.int64(),
            nullable=column.nullable,
            metadata={"unit": column.unit, "note": column.note},
        )
        for column in table.columns
    ]
    return pa.schema(fields, metadata={"schema_version": table.schema_name})


def to_parquet(table: FileTable[RowT], rows: Iterable[RowT]) -> bytes:
    """Return ``rows`` as Parquet; the same rows give the same bytes under one pyarrow version."""
    import pyarrow as pa  # noqa: PLC0415 - start-up
    import pyarrow.parquet as pq  # noqa: PLC0415 - start-up

    kept = list(rows)
    columns = {name: [getattr(row, name) for row in kept] for name in table.names}
    sink = io.BytesIO()
    pq.write_table(
        pa.table(columns, schema=_arrow_schema(table)),
        sink,
        version="2.6",
        data_page_version="1.0",
        compression=_COMPRESSION,
        compression_level=_COMPRESSION_LEVEL,
        row_group_size=_ROW_GROUP_ROWS,
    )
    return sink.getvalue()


def from_parquet(table: FileTable[RowT], data: bytes) -> list[RowT]:
    """Return the rows that ``to_parquet`` wrote.

    Raises ``ValueError`` when ``data`` is not Parquet or has another schema.
    """
    import pyarrow as pa  # noqa: PLC0415 - start-up
    import pyarrow.parquet as pq  # noqa: PLC0415 - start-up

    try:
        # Parquet of a file without a dataset: no partition is guessed from a path.
        found = pq.ParquetFile(io.BytesIO(data)).read()
    except (pa.ArrowException, OSError) as error:
        msg = f"not a readable Parquet table: {error}"
        raise ValueError(msg) from error
    if not found.schema.equals(_arrow_schema(table), check_metadata=True):
        msg = f"not a table of {table.schema_name}"
        raise ValueError(msg)
    columns = [found.column(name).to_pylist() for name in table.names]
    ensure(all(len(column) == found.num_rows for column in columns), "columns are equally long")
    names = table.names
    return [
        table.make(**dict(zip(names, cells, strict=True))) for cells in zip(*columns, strict=True)
    ]
