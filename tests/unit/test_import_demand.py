"""Demand curves: local time to the simulated axis, clock changes included, nothing lost."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from scenarios.importers.demand import import_demand
from scenarios.importers.options import DemandOptions
from scenarios.model import DemandCurve
from tests.support import ROOT
from tests.support_import import DATA, check_counts, loaded, told
from vpg.errors import InputError, UsageError
from vpg.timebase import HOUR_US, from_datetime

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.importers.result import Imported

NY = "America/New_York"
APRIL = dt.date(2026, 4, 1)
TRUE: dict[str, Any] = {"rebase": None, "size": "small"}
"""As measured, in years from which the catalogue has no figures."""
TAXI = DATA / "nyc_taxi_2014-11.csv"


def curve(*rows: str) -> bytes:
    return "\n".join(["timestamp,value", *rows, ""]).encode()


def half_hours(day: str, first: int, last: int, value: int = 10) -> list[str]:
    """Return rows of half hours number ``first`` to ``last`` of a local day."""
    return [f"{day} {k // 2:02d}:{30 * (k % 2):02d}:00,{value}" for k in range(first, last + 1)]


def points(imported: Imported) -> list[tuple[str, str, Decimal]]:
    """Return the rows of the written curve."""
    (data,) = imported.extra_files.values()
    head, *rows = data.decode().splitlines()
    assert head == "begins_at,ends_at,messages"
    cells = [row.split(",") for row in rows]
    return [(begin, end, Decimal(messages)) for begin, end, messages in cells]


def made(data: bytes | Path, **options: Any) -> Imported:
    return import_demand(data, DemandOptions(**{"tz": NY, "rebase": APRIL, **options}))


def total(imported: Imported) -> Decimal:
    return sum((messages for _, _, messages in points(imported)), Decimal(0))


def test_without_a_zone_the_error_names_the_option() -> None:
    with pytest.raises(UsageError) as caught:
        made(TAXI, tz="")
    assert told([caught.value.problem]) == [("VPG1350", 0)]
    assert caught.value.problem.path == "--tz"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "America", "../etc/passwd", "EST5EDT4", "\0"])
def test_an_unknown_zone_is_a_usage_error(zone: str) -> None:
    with pytest.raises(UsageError) as caught:
        made(TAXI, tz=zone)
    assert told([caught.value.problem]) == [("VPG1352", 0)]


def test_rebase_keeps_the_time_of_day() -> None:
    imported = made(curve(*half_hours("2014-07-01", 10, 13)))
    assert points(imported)[0][:2] == ("2026-04-01T05:00:00+09:00", "2026-04-01T05:30:00+09:00")
    assert 'start: "2026-04-01T00:00:00+09:00"' in imported.scenario_yaml
    assert "duration_h: 7" in imported.scenario_yaml


def test_without_rebase_each_row_lies_at_its_own_instant() -> None:
    imported = made(curve(*half_hours("2014-07-01", 0, 3)), **TRUE)
    # Midnight in New York in summer is 04:00 UTC.
    assert points(imported)[0][0] == "2014-07-01T13:00:00+09:00"


def test_a_start_before_the_catalogue_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError) as caught:
        made(TAXI, rebase=None)
    assert [code for code, _ in told(caught.value.problems)] == ["VPG1121", "VPG1373"]


def test_the_scale_is_exact() -> None:
    imported = made(curve(*half_hours("2014-07-01", 0, 9, value=7)), scale=Decimal("0.1"))
    assert [messages for _, _, messages in points(imported)] == [Decimal("0.7")] * 10


def test_a_scale_finer_than_a_millionth_loses_less_than_one() -> None:
    imported = made(curve(*half_hours("2014-07-01", 0, 9, value=1)), scale=Decimal("0.00000033"))
    assert total(imported) == Decimal("0.000003")


def test_days_are_cut_by_local_date() -> None:
    rows = [row for day in range(1, 6) for row in half_hours(f"2014-07-0{day}", 0, 47, value=day)]
    options = {"first": dt.date(2014, 7, 2), "until": dt.date(2014, 7, 5)}
    imported = made(curve(*rows), **options)
    assert points(imported)[0] == (
        "2026-04-01T00:00:00+09:00",
        "2026-04-01T00:30:00+09:00",
        Decimal(2),
    )
    assert total(imported) == 48 * (2 + 3 + 4)
    assert imported.counts["rows_outside"] == 96
    check_counts(imported.counts)
    shorter = made(curve(*rows), **options, days=2)
    assert total(shorter) == 48 * (2 + 3)
    assert shorter.counts["rows_outside"] == 144
    check_counts(shorter.counts)


# ---- clock changes -------------------------------------------------------------------------------


def test_a_repeated_hour_with_rows_for_both_passes_keeps_both() -> None:
    rows = (
        half_hours("2014-11-02", 0, 3, value=1)
        + half_hours("2014-11-02", 2, 3, value=5)
        + half_hours("2014-11-02", 4, 5, value=2)
    )
    true = made(curve(*rows), **TRUE)
    assert [messages for _, _, messages in points(true)] == [1, 1, 1, 1, 5, 5, 2, 2]
    assert all(
        later[0] == earlier[1]
        for earlier, later in zip(points(true), points(true)[1:], strict=False)
    )
    assert told(true.problems) == [("VPG1343", line) for line in (4, 5, 6, 7)]
    assert [p.values["turn"] for p in true.problems] == [1, 1, 2, 2]
    elapsed = made(curve(*rows), clock="elapsed")
    assert [m for _, _, m in points(elapsed)] == [1, 1, 1, 1, 5, 5, 2, 2]
    wall = made(curve(*rows))
    assert [m for _, _, m in points(wall)] == [1, 1, 6, 6, 2, 2]
    assert {code for code, _ in told(wall.problems)} == {"VPG1337", "VPG1340"}
    for imported in (true, elapsed, wall):
        assert total(imported) == 18
        check_counts(imported.counts)


def test_a_repeated_hour_with_one_row_is_both_passes_together() -> None:
    rows = half_hours("2014-11-02", 0, 1, 4) + half_hours("2014-11-02", 2, 3, 9)
    rows += half_hours("2014-11-02", 4, 5, 4)
    true = made(curve(*rows), **TRUE)
    half = Decimal("4.5")
    assert [m for _, _, m in points(true)] == [4, 4, half, half, half, half, 4, 4]
    assert told(true.problems) == [("VPG1344", 4), ("VPG1344", 5)]
    wall = made(curve(*rows))
    assert [m for _, _, m in points(wall)] == [4, 4, 9, 9, 4, 4]
    assert [t for t in told(wall.problems) if t[1]] == [("VPG1338", 4), ("VPG1338", 5)]
    assert total(true) == total(wall) == 34


def test_a_time_that_does_not_exist_is_a_bad_row() -> None:
    rows = half_hours("2015-03-08", 0, 7)
    imported = made(curve(*rows), **TRUE)
    bad = [t for t in told(imported.problems) if t[0] == "VPG1332"]
    assert bad == [("VPG1332", 6), ("VPG1332", 7)]
    assert imported.counts["rows_bad"] == 2
    assert total(imported) == 60
    check_counts(imported.counts)


def test_a_missing_hour_is_told_and_is_no_gap() -> None:
    rows = half_hours("2015-03-08", 0, 3) + half_hours("2015-03-08", 6, 9)
    wall = made(curve(*rows))
    assert [t for t in told(wall.problems) if t[1]] == [("VPG1339", 6)]
    assert "intervals_missing" not in wall.counts
    assert points(wall)[4][0] == "2026-04-01T03:00:00+09:00"
    elapsed = made(curve(*rows), clock="elapsed")
    assert points(elapsed)[4][0] == "2026-04-01T02:00:00+09:00"


def test_a_day_long_row_lasts_as_long_as_its_day() -> None:
    rows = [f"2014-11-0{day} 00:00:00,2400" for day in (1, 2, 3, 4)]
    true = made(curve(*rows), **TRUE)
    spans = points(true)
    assert len(spans) == 24 + 25 + 24 + 24
    assert total(true) == 9600
    wall = points(made(curve(*rows)))
    assert [m for _, _, m in wall] == [100] * 96


# ---- rows that do not fit ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("2014-07-01 02:00:00Z,1", "VPG1331"),
        ("2014-07-01T02:00:00-04:00,1", "VPG1331"),
        ("2014-07-32 02:00:00,1", "VPG1330"),
        ("01/07/2014 02:00,1", "VPG1330"),
        ("2014-07-01 02:00:00,NaN", "VPG1321"),
        ("2014-07-01 02:00:00,-1", "VPG1321"),
        ("2014-07-01 02:00:00,1e9", "VPG1321"),
        ("2014-07-01 02:00:00,", "VPG1321"),
        ("2014-07-01 02:00:00,9999999999999999", "VPG1322"),
        ("2014-07-01 02:00:00", "VPG1310"),
        ("2014-07-01 01:30:00,3", "VPG1333"),
        ("2014-07-01 02:07:00,3", "VPG1336"),
    ],
)
def test_a_bad_row_is_told_counted_and_left_out(row: str, code: str) -> None:
    imported = made(curve(*half_hours("2014-07-01", 0, 3), row), **TRUE)
    assert told(imported.problems) == [(code, 6)]
    assert imported.counts["rows_bad"] == 1
    assert total(imported) == 40
    check_counts(imported.counts)


def test_gaps_and_rows_out_of_order_are_told_and_used() -> None:
    rows = half_hours("2014-07-01", 0, 9)
    late = rows.pop(2)
    del rows[5:7]
    imported = made(curve(*rows, late), **TRUE)
    assert told(imported.problems) == [("VPG1335", 7), ("VPG1334", 9)]
    assert imported.problems[0].values["missing"] == 2
    assert imported.counts["intervals_missing"] == 2
    assert imported.counts["rows_unordered"] == 1
    assert total(imported) == 80


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], "VPG1313"),
        (["x,1"], "VPG1313"),
        (["2014-07-01 00:00:00,1"], "VPG1345"),
        ([f"2014-07-01 0{k}:{k * k:02d}:00,1" for k in range(6)], "VPG1341"),
        (["2014-07-01 00:00:00,1", "2014-07-01 07:00:00,1"], "VPG1341"),
        (["2012-01-01 00:00:00,1", "2012-01-02 00:00:00,1", "2014-01-02 00:00:00,1"], "VPG1319"),
        (["2014-07-01 00:00:00,999999999999999", "2014-07-01 01:00:00,1"], "VPG1342"),
    ],
)
def test_a_file_without_a_usable_curve_is_refused(rows: list[str], code: str) -> None:
    with pytest.raises(InputError) as caught:
        made(curve(*rows))
    assert told(caught.value.problems)[-1][0] == code


def test_no_day_asked_for_is_in_the_file() -> None:
    with pytest.raises(InputError) as caught:
        made(TAXI, first=dt.date(2020, 1, 1))
    assert told(caught.value.problems) == [("VPG1313", 0)]
    assert caught.value.problems[0].values["rows_outside"] == 144


def test_strict_counts_rows_off_the_curve_too() -> None:
    rows = [*half_hours("2014-07-01", 0, 3), "2014-07-01 02:07:00,3"]
    with pytest.raises(InputError) as caught:
        made(curve(*rows), strict=True)
    assert told(caught.value.problems) == [("VPG1336", 6), ("VPG1316", 0)]


def test_another_weekday_is_told_with_the_nearest_same_one() -> None:
    rows = curve(*half_hours("2014-07-01", 0, 3))
    (problem,) = made(rows).problems
    assert told([problem]) == [("VPG1340", 0)]
    near = dt.date.fromisoformat(problem.values["near"])
    assert near == dt.date(2026, 3, 31)
    assert made(rows, rebase=near).problems == []


# ---- the measured files --------------------------------------------------------------------------


def test_the_scenario_holds_the_measured_curve(tmp_path: Path) -> None:
    imported = made(TAXI, scale=Decimal("0.01"))
    scenario = loaded(imported, tmp_path)
    (source,) = scenario.fleets[0].traffic
    assert isinstance(source, DemandCurve)
    measured = sum(int(row.split(",")[1]) for row in TAXI.read_text().splitlines()[1:])
    assert sum(source.micro_messages) == measured * 10_000
    assert imported.counts["messages_micro"] == measured * 10_000
    start_us = from_datetime(dt.datetime(2026, 3, 31, 15, tzinfo=dt.UTC))
    assert scenario.start_us == source.begins_us[0] == start_us
    assert scenario.end_us == source.ends_us[-1] == start_us + 72 * HOUR_US


def test_the_end_of_summer_time_in_the_taxi_data_is_told_where_it_is() -> None:
    imported = made(TAXI)
    told_lines = [line for code, line in told(imported.problems) if code == "VPG1338"]
    lines = TAXI.read_text().splitlines()
    assert [lines[line - 1] for line in told_lines] == [
        "2014-11-02 01:00:00,39197",
        "2014-11-02 01:30:00,35212",
    ]


def shared(name: str) -> Path:
    """Return a full measured file if this machine has it beside the clone."""
    path = ROOT.parent / "shared" / "data" / "demand" / name
    if not path.is_file():
        pytest.skip("the full measured files are not part of the repository")
    return path


@pytest.mark.parametrize("clock", ["wall", "elapsed"])
def test_the_full_taxi_file_loses_nothing(clock: str) -> None:
    imported = made(shared("nyc_taxi.csv"), clock=clock, problems_max=100)
    assert imported.counts["rows_used"] == imported.counts["rows_read"] == 10_320
    assert imported.counts["messages_micro"] == 156_219_716 * 1_000_000
    # Twice the peak of the wall clock is two passes of one hour.
    peak = max(messages for _, _, messages in points(imported))
    assert peak == (39_197 if clock == "wall" else 30_373)


def test_the_full_balancer_file_tells_its_gaps(tmp_path: Path) -> None:
    imported = made(shared("elb_request_count_8c0756.csv"), tz="UTC")
    assert imported.counts["rows_used"] == 4_032
    assert imported.counts["intervals_missing"] == 8
    assert points(imported)[0][0] == "2026-04-01T00:04:00+09:00"
    assert len(loaded(imported, tmp_path).fleets) == 1
