"""Sweeps: what ``--over`` may say, the grid it makes, and that a point is what a run would be."""

from __future__ import annotations

import io
import itertools
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.loader import load_scenario
from scenarios.new import ready_text
from sim import sweep as sweeping
from sim.points import PointJob, point_row
from sim.run import simulate
from sim.sweep import POINTS_MAX, Sweep, check_keys, check_points, read_axes
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError, UsageError
from vpg.rating.hourly import digest
from vpg.runtables import to_csv, to_parquet
from vpg.sweeps import Axis, RunRow, point_count, point_table, points, table_rows
from vpg.text import LANGS, render

if TYPE_CHECKING:
    from pathlib import Path

CATALOGUE = load_catalogue()

GOOD: dict[str, tuple[str, ...]] = {
    "a=1..4": ("1", "2", "3", "4"),
    "a=1000..10000:3000": ("1000", "4000", "7000", "10000"),
    "a=1..10:4": ("1", "5", "9"),
    "a=5..5:1": ("5",),
    "a=10..1:-3": ("10", "7", "4", "1"),
    "a=-2..2:2": ("-2", "0", "2"),
    "a=0.1..0.4:0.1": ("0.1", "0.2", "0.3", "0.4"),
    "a=1..2:0.5": ("1.0", "1.5", "2.0"),
    "a=small, medium ,large": ("small", "medium", "large"),
    "a=10,20..40:10,100": ("10", "20", "30", "40", "100"),
    'a=\'x,y\',"z, \\"w"': ("'x,y'", '"z, \\"w"'),
    "a=null,true,2026-04-06T09:00:00+09:00": ("null", "true", "2026-04-06T09:00:00+09:00"),
    "a=../x.csv,y.csv": ("../x.csv", "y.csv"),
    "a=b=c": ("b=c",),
}
BAD: dict[str, str] = {
    "": "VPG1030",
    "a": "VPG1030",
    "=1": "VPG1030",
    "..=1": "VPG1030",
    "a=": "VPG1030",
    "a=1,": "VPG1030",
    "a=,1": "VPG1030",
    "a=1,,2": "VPG1030",
    "a=1, ,2": "VPG1030",
    "a=1..": "VPG1030",
    "a=..5": "VPG1030",
    "a=1..x": "VPG1030",
    "a=1..5:": "VPG1030",
    "a=1..5:x": "VPG1030",
    "a=0.5..1.5": "VPG1030",
    "a=1..5:nan": "VPG1030",
    "a=[1,2]": "VPG1030",
    "a={b: 1}": "VPG1030",
    "a='x": "VPG1030",
    "a='x'y,z": "VPG1030",
    "a=1..5:0": "VPG1041",
    "a=1..5:-1": "VPG1041",
    "a=5..1:1": "VPG1041",
    "a=1..10001": "VPG1042",
    "a=0..999999999999999999:0.000000000000000001": "VPG1042",
    "a=x,y,x": "VPG1043",
    "a=1..3,2": "VPG1043",
}


@pytest.mark.parametrize("text", GOOD)
def test_values_are_read_in_order(text: str) -> None:
    (axis,) = read_axes([text])
    assert (axis.key, axis.values) == ("a", GOOD[text])


@pytest.mark.parametrize("text", BAD)
def test_a_bad_option_is_told_with_what_came(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_axes([text])
    problem = caught.value.problem
    assert problem.code == BAD[text]
    assert {text, text[:60]} & {problem.values.get("text"), problem.values.get("value")} or not text
    for lang in LANGS:
        assert "--over" in render(problem, lang)


def test_a_huge_grid_is_refused_with_its_count_before_it_is_made() -> None:
    with pytest.raises(UsageError) as caught:
        read_axes(["a=1..1000", "b=1..1000000", "c=x,y"])
    assert caught.value.problem.values["count"] == "2,000,000,000"
    assert caught.value.problem.values["most"] == f"{POINTS_MAX:,}"
    assert caught.value.problem.values["text"] == "b=1..1000000"
    assert point_count(read_axes(["a=1..100", "b=1..100"])) == POINTS_MAX


@given(st.integers(-999, 999), st.integers(1, 99), st.integers(0, 60), st.integers(0, 3))
def test_a_range_is_first_and_every_step_up_to_last(
    first: int, step: int, steps: int, places: int
) -> None:
    scale = Decimal(10) ** -places
    low, by = first * scale, step * scale
    last = low + steps * by + by / 2 if places == 0 and step > 1 else low + steps * by
    whole = f"{low:.{places}f}..{last:.0f}" if places == 0 else f"{low:f}..{last:f}"
    (axis,) = read_axes([f"a={whole}:{by:f}"])
    values = [Decimal(value) for value in axis.values]
    assert values[0] == low
    assert all(b - a == by for a, b in itertools.pairwise(values))
    assert Decimal(whole.partition("..")[2]) - by < values[-1] <= Decimal(whole.partition("..")[2])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_grid_is_every_combination_once_the_last_axis_fastest(sizes: list[int]) -> None:
    axes = [
        Axis(key=f"k{at}", values=tuple(str(value) for value in range(size)))
        for at, size in enumerate(sizes)
    ]
    grid = list(points(axes))
    assert len(grid) == len(set(grid)) == point_count(axes)
    assert grid == sorted(grid)


# ---- against scenarios ---------------------------------------------------------------------------


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "smallest.yaml"
    path.write_text(ready_text("smallest"), encoding="utf-8")
    return path


def sweep_of(path: Path, *overs: str, sets: tuple[str, ...] = ()) -> Sweep:
    return Sweep(scenario=path, variant=None, sets=sets, axes=read_axes(overs))


def told(sweep: Sweep) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        check_points(sweep, CATALOGUE)
    return [(one.code, str(one.place)) for one in caught.value.problems]


def test_a_mistake_that_all_points_share_is_told_once_and_names_the_option(scenario: Path) -> None:
    assert told(sweep_of(scenario, "fleets.sensors.linse=1..50")) == [
        ("VPG1201", "--over fleets.sensors.linse=1")
    ]
    assert told(sweep_of(scenario, "vpgs.gte.size=small,large", "seed=1..3")) == [
        ("VPG1223", "--over vpgs.gte.size=small")
    ]


def test_every_bad_value_is_told_at_once(scenario: Path) -> None:
    sweep = sweep_of(scenario, "fleets.sensors.lines=-5..15:10", "vpgs[0].size=small,larg,medum")
    assert told(sweep) == [
        ("VPG1211", "--over fleets.sensors.lines=-5"),
        ("VPG1203", "--over vpgs[0].size=larg"),
        ("VPG1203", "--over vpgs[0].size=medum"),
    ]


def test_a_mistake_only_in_a_combination_is_found_before_the_first_run(scenario: Path) -> None:
    gate = "vpgs.gate"
    created, deleted = (f"{gate}.created_at=+00:10:00,+00:40:00", f"{gate}.deleted_at=+00:50:00")
    check_points(sweep_of(scenario, created, deleted), CATALOGUE)
    check_points(sweep_of(scenario, f"{deleted},+00:30:00", f"{gate}.type=C,D"), CATALOGUE)
    assert len(told(sweep_of(scenario, created, f"{deleted},+00:30:00"))) == 1


def test_problems_are_bounded(scenario: Path) -> None:
    sweep = sweep_of(scenario, "fleets.sensors.lines=-100..-1:1")
    assert len(told(sweep)) == sweeping.PROBLEMS_MAX


@pytest.mark.parametrize(
    ("overs", "sets"),
    [
        (("seed=1,2", "seed=3,4"), ()),
        (("vpgs[0].size=small,large", "vpgs.gate.size=medium,large"), ()),
        (("vpgs.0.size=small,large", "vpgs[0].size=medium,large"), ()),
        (("seed=1,2",), ("seed=7",)),
        (("fleets.sensors.lines=1,2",), ("fleets[0].lines=7",)),
        (("vpgs.gate=a,b", "vpgs[0].size=small,large"), ()),
    ],
)
def test_one_key_cannot_be_said_twice_by_whatever_name(
    overs: tuple[str, ...], sets: tuple[str, ...], scenario: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        check_keys(sweep_of(scenario, *overs, sets=sets))
    assert caught.value.problem.code == "VPG1044"


def test_different_keys_can(scenario: Path) -> None:
    overs = ("vpgs[0].size=small,large", "vpgs.gate.type=C,D", "fleets[0].lines=1,2")
    check_keys(sweep_of(scenario, *overs, sets=("seed=1",)))


def run_point(sweep: Sweep, point: int, values: tuple[str, ...], replication: int = 0) -> RunRow:
    row = PointJob(sweep=sweep, catalogue=CATALOGUE).run((point, values, replication))
    assert row is not None
    return row


def test_a_point_is_the_run_with_the_same_settings(scenario: Path) -> None:
    sweep = sweep_of(scenario, "fleets.sensors.lines=20,40", "seed=3,4", sets=("duration_h=2",))
    row = run_point(sweep, 3, ("40", "4"))
    sets = ("duration_h=2", "fleets.sensors.lines=40", "seed=4")
    alone = simulate(load_scenario(scenario, catalogue=CATALOGUE, sets=sets), CATALOGUE)
    assert row.digest == digest(alone.rows)
    assert (row.point, row.values, row.verdict) == (3, ("40", "4"), "holds")
    assert row.messages_offered == 40 * 12 == row.messages_delivered + row.messages_pending
    assert (row.accepted_share_ppm, row.throttled_ppm, row.lines_peak) == (1_000_000, 0, 40)
    assert row.charges_complete


def test_a_point_says_what_failed_and_what_has_no_price(scenario: Path) -> None:
    sets = ("vpgs=[{id: gate, type: G}]", "objectives=[{lines_peak_max: 15}]")
    sweep = sweep_of(scenario, "fleets[0].lines=10,20", sets=sets)
    rows = [run_point(sweep, at, value) for at, value in enumerate((("10",), ("20",)))]
    assert [row.verdict for row in rows] == ["holds", "fails"]
    assert [row.charges_complete for row in rows] == [False, False]
    assert check_points(sweep, CATALOGUE), "the unknown limits are warned of, once"


def test_a_stopped_point_is_no_point(scenario: Path) -> None:
    job = PointJob(sweep=sweep_of(scenario, "seed=1,2"), catalogue=CATALOGUE)
    assert job.run((0, ("1",), 0), stop=lambda: True) is None


def test_the_table_keeps_whole_numbers_as_numbers_and_other_values_as_written(
    scenario: Path,
) -> None:
    axes = read_axes(["fleets[0].lines=10,20", "fleets[0].traffic[0].jitter_s=0.5,1"])
    sweep = Sweep(scenario=scenario, variant=None, sets=(), axes=axes)
    rows = [point_row([run_point(sweep, at, value)]) for at, value in enumerate(points(axes))]
    table, cells = point_table(axes), table_rows(axes, rows[::-1])
    found = pq.read_table(io.BytesIO(to_parquet(table, cells)))
    assert found.column("point").to_pylist() == [0, 1, 2, 3]
    assert found.column("fleets[0].lines").to_pylist() == [10, 10, 20, 20]
    assert found.column("fleets[0].traffic[0].jitter_s").to_pylist() == ["0.5", "1", "0.5", "1"]
    assert found.column("charges_complete").to_pylist() == [1, 1, 1, 1]
    header = to_csv(table, cells).decode().splitlines()[0].split(",")
    assert header == found.column_names
