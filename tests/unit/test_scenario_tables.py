"""CSV files beside a scenario: curves and traces, exact, inside the folder, bad rows told."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios import model, tables
from scenarios.context import Context
from scenarios.loader import data_files, load_scenario
from scenarios.places import Composer
from scenarios.times import read_instant
from tests.support_scenarios import catalogue, problems, text
from vpg.errors import Place
from vpg.timebase import HOUR_US, MINUTE_US

if TYPE_CHECKING:
    from pathlib import Path

START_US = read_instant("2026-04-01T09:00:00+09:00")
HEAD = "begins_at,ends_at,messages\n"
ROW = "2026-04-01T09:00:00+09:00,2026-04-01T10:00:00+09:00,1.5\n"
TRACE_HEAD = "time,line,bytes_up,bytes_down\n"


def scenario_with(folder: Path, kind: str, rows: str | bytes, extra: str = "") -> Path:
    """Write a scenario and its CSV; return the scenario's path."""
    content = rows if isinstance(rows, bytes) else rows.encode()
    (folder / "data.csv").write_bytes(content)
    block = f"kind: {kind}\n        file: data.csv{extra}"
    path = folder / "case.yaml"
    path.write_text(text(("kind: periodic\n        every_s: 60", block)), encoding="utf-8")
    return path


def curve(path: Path) -> model.DemandCurve:
    source = load_scenario(path, catalogue=catalogue()).fleets[0].traffic[0]
    assert isinstance(source, model.DemandCurve)
    return source


def test_a_curve_is_exact_and_scaled(tmp_path: Path) -> None:
    rows = HEAD + ROW + f"{START_US + HOUR_US},{START_US + HOUR_US + MINUTE_US},0.000001\n"
    found = curve(scenario_with(tmp_path, "demand_curve", rows, "\n        scale: 3"))
    assert found.begins_us == (START_US, START_US + HOUR_US)
    assert found.ends_us == (START_US + HOUR_US, START_US + HOUR_US + MINUTE_US)
    assert found.micro_messages == (4_500_000, 3)


@pytest.mark.parametrize("rows", [
    ("\ufeff" + HEAD + ROW).encode(),
    (HEAD + ROW).replace("\n", "\r\n").encode(),
    (b"messages,note,ends_at,begins_at\n"
     b'1.5,"a, b",2026-04-01T10:00:00+09:00,2026-04-01T00:00:00Z\n\n'),
])  # fmt: skip
def test_files_of_other_programs_are_read(tmp_path: Path, rows: bytes) -> None:
    assert curve(scenario_with(tmp_path, "demand_curve", rows)).micro_messages == (1_500_000,)


@given(
    begin=st.integers(-300, 200),
    length=st.integers(1, 400),
    messages=st.decimals(0, 10**6, places=3),
    end=st.integers(1, 150),
)
def test_splitting_at_hours_loses_nothing(
    begin: int, length: int, messages: Decimal, end: int
) -> None:
    """Parts add up to the whole when the run covers it, and depend on no run."""

    def parts(start_us: int, end_us: int) -> list[tuple[int, int, int]]:
        context = Context(node=Composer("x").compose("a: 1"), catalogue=catalogue(), folder=None)
        context.start_us, context.end_us = start_us, end_us
        return tables.intervals([point], Decimal(1), (), context)

    begins_us = START_US + begin * MINUTE_US
    ends_us = begins_us + length * MINUTE_US
    point = tables.Point(Place(file="x"), begins_us, ends_us, messages)
    whole = parts(begins_us, ends_us)
    assert sum(micro for _, _, micro in whole) == int(messages * 10**6)
    assert (whole[0][0], whole[-1][1]) == (begins_us, ends_us)
    assert all(0 < until - since <= HOUR_US for since, until, _ in whole)
    if length > 60:
        assert all(until % HOUR_US == 0 for _, until, _ in whole[:-1])
    end_us = START_US + end * MINUTE_US
    assert parts(START_US, end_us) == [p for p in whole if p[1] > START_US and p[0] < end_us]


def test_a_trace_is_sorted_and_cut_to_the_run(tmp_path: Path) -> None:
    rows = TRACE_HEAD + f"+01:00:00,3,10,1\n{START_US},9,20,0\n+00:00:00,2,5,5\n+02:00:00,1,1,1\n"
    source = load_scenario(scenario_with(tmp_path, "trace", rows), catalogue=catalogue())
    trace = source.fleets[0].traffic[0]
    assert isinstance(trace, model.Trace)
    assert trace.times_us == (START_US, START_US, START_US + HOUR_US)
    assert (trace.lines, trace.bytes_up, trace.bytes_down) == ((2, 9, 3), (5, 20, 10), (5, 0, 1))


@pytest.mark.parametrize(
    ("kind", "rows", "code", "line"),
    [
        ("demand_curve", "", "VPG1272", 1),
        ("demand_curve", "begins_at,messages\n", "VPG1272", 1),
        ("demand_curve", HEAD, "VPG1219", 0),
        ("demand_curve", HEAD + ROW + ROW[:30], "VPG1274", 3),
        ("demand_curve", HEAD + ROW.replace("1.5", "many"), "VPG1273", 2),
        ("demand_curve", HEAD + ROW.replace("1.5", "NaN"), "VPG1273", 2),
        ("demand_curve", HEAD + ROW.replace("1.5", "-1"), "VPG1273", 2),
        ("demand_curve", HEAD + ROW.replace("1.5", "1e99"), "VPG1273", 2),
        ("demand_curve", HEAD + ROW.replace("+09:00", ""), "VPG1251", 2),
        ("demand_curve", HEAD + ROW + ROW, "VPG1277", 3),
        ("demand_curve", HEAD + ROW.replace("2026", "2027"), "VPG1278", 0),
        ("demand_curve", HEAD + '"never closed', "VPG1275", 2),
        ("demand_curve", (HEAD + ROW).encode("utf-16"), "VPG1236", 1),
        ("demand_curve", HEAD.encode() + "検針".encode("cp932"), "VPG1235", 2),
        ("trace", TRACE_HEAD + "+00:00:00,10,1,1\n", "VPG1279", 2),
        ("trace", TRACE_HEAD + "+00:00:00,1.5,1,1\n", "VPG1279", 2),
        ("trace", TRACE_HEAD + "soon,1,1,1\n", "VPG1250", 2),
        ("trace", TRACE_HEAD + "+09:00:00,1,1,1\n", "VPG1278", 0),
        ("trace", TRACE_HEAD, "VPG1219", 0),
    ],
)
def test_bad_rows_are_told_by_line(
    tmp_path: Path, kind: str, rows: str | bytes, code: str, line: int
) -> None:
    found = problems(scenario_with(tmp_path, kind, rows))[0]
    assert found.code == code
    assert found.place is not None
    if line:
        assert (found.place.file, found.place.line) == (str(tmp_path / "data.csv"), line)
    else:
        assert found.place.file == str(tmp_path / "case.yaml")


def test_bad_rows_are_told_together_but_not_for_ever(tmp_path: Path) -> None:
    rows = HEAD + ROW.replace("1.5", "x") * 500
    assert len(problems(scenario_with(tmp_path, "demand_curve", rows))) == tables.BAD_ROWS_MAX


@pytest.mark.parametrize("name", ["../out.csv", "/etc/passwd", "link.csv", "loop.csv", "..", "/"])
def test_only_files_of_the_scenarios_folder_are_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "out.csv").write_text(HEAD + ROW, encoding="utf-8")
    (folder / "link.csv").symlink_to(tmp_path / "out.csv")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    path = scenario_with(folder, "demand_curve", HEAD + ROW)
    path.write_text(path.read_text("utf-8").replace("data.csv", name), encoding="utf-8")
    assert problems(path)[0].code in {"VPG1271", "VPG1234", "VPG1230"}
    if name != "loop.csv":
        assert [p.code for p in problems(path)] == ["VPG1271"]
    assert data_files(path) == {}


def test_a_text_without_a_folder_names_no_files() -> None:
    whole = text(("kind: periodic\n        every_s: 60", "kind: trace\n        file: a.csv"))
    assert [p.code for p in problems(whole)] == ["VPG1270"]


def test_a_huge_table_is_refused_unread(tmp_path: Path) -> None:
    path = scenario_with(tmp_path, "trace", "")
    os.truncate(tmp_path / "data.csv", 2 << 30)
    assert [p.code for p in problems(path)] == ["VPG1233"]


def test_the_files_of_a_scenario_are_handed_over(tmp_path: Path) -> None:
    path = scenario_with(tmp_path, "demand_curve", HEAD + ROW)
    assert data_files(path) == {"data.csv": (HEAD + ROW).encode()}
    (tmp_path / "other.csv").write_text(HEAD, encoding="utf-8")
    option = "fleets.meters.traffic.0.file=other.csv"
    assert data_files(path, sets=[option]) == {"other.csv": HEAD.encode()}
