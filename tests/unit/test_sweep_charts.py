"""Charts and terminal page of a sweep: every shape draws, the same bytes twice, bounded."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, get_args

import matplotlib as mpl
import pytest
from rich.console import Console

from reports import sweep_charts, texts
from reports.sweep_charts import LINES_MAX, MAPS_MAX, draw_sweep
from reports.sweep_terminal import ROWS_MAX, print_sweep
from tests.support_reports import quiet, scenario
from vpg.replications import FIGURES
from vpg.sweeps import Axis, Estimate, PointRow, PointVerdict, points

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = scenario([quiet(hours=2)], 2)
LINES = Axis(key="fleets.meters.lines", values=("1000", "2000", "4000"))
JITTER = Axis(key="fleets.meters.jitter_s", values=("0.5", "1.0"))
SIZE = Axis(key="vpgs[0].size", values=("small", "𠮷 $x_1$ \u202e\n"))
SEED = Axis(key="seed", values=tuple(str(seed) for seed in range(20)))
SHAPES: dict[str, tuple[Axis, ...]] = {
    "one number": (LINES,),
    "one word": (SIZE,),
    "number and words": (SIZE, LINES),
    "two numbers": (LINES, JITTER),
    "two numbers and words": (SIZE, JITTER, LINES),
    "three numbers": (LINES, JITTER, SEED),
    "many maps": (LINES, JITTER, Axis(key="k", values=tuple("abcdefgh"))),
    "one point": (Axis(key="seed", values=("1",)),),
}


def rows_of(axes: tuple[Axis, ...], replications: int = 1) -> list[PointRow]:
    rows = []
    for point, values in enumerate(points(axes)):
        fails = "4000" in values or "0.5" in values
        rows.append(
            PointRow(
                point=point,
                values=values,
                accepted_share_ppm=900_000 if fails else 1_000_000,
                throttled_ppm=123_456 if fails else 0,
                refused_attach_ppm=0,
                delay_us_p50=0,
                delay_us_p99=65_000_000 if fails else 0,
                delay_us_max=90_000_000,
                rate_peak_per_s=12,
                lines_peak=1000,
                attempts=5,
                messages_offered=5,
                messages_delivered=4,
                messages_lost=1,
                messages_pending=0,
                charges_tax_excluded_yen=1000,
                charges_tax_included_yen=1100 + point,
                charges_complete=point % 2 == 0,
                verdict="fails" if fails else "holds",
                digest="0" * 64,
                replications=replications,
                objectives_met=0 if fails else replications,
                until_met=None,
                estimates=tuple(
                    Estimate(
                        figure=figure,
                        mean=mean,
                        lower=mean - 9_999.5 if replications > 1 else None,
                        upper=mean + 9_999.5 if replications > 1 else None,
                    )
                    for figure, mean in {
                        **dict.fromkeys(FIGURES, 5.0),
                        "accepted_share": 900_000.0 if fails else 1_000_000.0,
                        "throttled_share": 123_456.0 if fails else 0.0,
                        "delay_us_p99": 65_000_000.0 if fails else 0.0,
                        "charges_yen": 1_100.0 + point,
                    }.items()
                ),
            )
        )
    return rows


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_drawn(shape: str, tmp_path: Path) -> None:
    axes, before = SHAPES[shape], dict(mpl.rcParams)
    maps = sum(axis.numbers is not None and len(axis.values) > 1 for axis in axes) == 2
    expected = ["chart-sweep", *(["chart-sweep-map"] if maps else [])]
    lang = "ja" if len(axes) % 2 else "en"
    kinds = ("png",) if maps else ("png", "svg")
    paths = draw_sweep(SCENARIO, axes, rows_of(axes), tmp_path, lang, kinds)
    assert [path.name for path in paths] == [f"{n}.{k}" for n in expected for k in kinds]
    assert all(path.stat().st_size > 5_000 for path in paths)
    assert dict(mpl.rcParams) == before


def test_the_same_sweep_gives_the_same_bytes_whatever_the_order_of_its_rows(
    tmp_path: Path,
) -> None:
    axes, kept = (LINES, JITTER), []
    for folder, rows in ((tmp_path / "a", rows_of(axes)), (tmp_path / "b", rows_of(axes)[::-1])):
        folder.mkdir()
        paths = draw_sweep(SCENARIO, axes, rows, folder, "ja")
        kept.append([path.read_bytes() for path in paths])
    assert len(kept[0]) == 4
    assert kept[0] == kept[1]


def test_intervals_are_drawn_inside_the_picture_and_within_what_can_be(tmp_path: Path) -> None:
    plain, bars = (
        draw_sweep(SCENARIO, (LINES,), rows_of((LINES,), count), tmp_path, "en")
        for count in (1, 20)
    )
    assert [path.name for path in plain] == [path.name for path in bars]
    for row in rows_of((LINES,), 20):
        for panel, (_, unit, floor) in sweep_charts._PANELS.items():
            below, above = sweep_charts._spread_of(row, panel)
            mean = sweep_charts._mean(row, panel)
            assert floor <= mean - below <= mean <= mean + above
            share = unit != 1
            assert not share or mean + above <= 100
            assert above == pytest.approx(
                min(9_999.5 / unit, 100 - mean if share else 1e9), abs=floor + 1e-9
            )
    (single,) = rows_of((Axis(key="seed", values=("1",)),))
    assert {sweep_charts._spread_of(single, panel) for panel in sweep_charts._PANELS} == {(0, 0)}


def test_the_boundary_runs_between_points_that_hold_and_points_that_fail() -> None:
    rows = {row.values: row for row in rows_of((LINES, JITTER))}
    cells = [[rows[x, y] for x in LINES.values] for y in JITTER.values]
    # 0.5 fails everywhere; at 1.0 only 4000 does.
    assert sorted(sweep_charts._boundary(cells)) == [
        ((-0.5, 0.5), (0.5, 0.5)),
        ((0.5, 0.5), (1.5, 0.5)),
        ((1.5, 0.5), (1.5, 1.5)),
    ]


def test_more_lines_than_can_be_told_apart_are_spread_evenly() -> None:
    every: list[tuple[str, ...]] = [(str(at),) for at in range(20)]
    shown = sweep_charts._spread(every, LINES_MAX)
    assert (shown[0], shown[-1], len(shown)) == (("0",), ("19",), LINES_MAX)
    assert len(set(shown)) == LINES_MAX
    assert sweep_charts._spread(every[:MAPS_MAX], MAPS_MAX) == every[:MAPS_MAX]


def test_every_verdict_has_words() -> None:
    assert {f"sweep.{name}" for name in get_args(PointVerdict)} <= set(texts.table())


def page(axes: tuple[Axis, ...], lang: str, rows: list[PointRow] | None = None) -> str:
    console = Console(file=io.StringIO(), width=80, no_color=True, highlight=False)
    print_sweep(console, SCENARIO, axes, rows or rows_of(axes), "runs/x\x1b", lang)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_page_is_bounded_and_cannot_steer_the_terminal(lang: str) -> None:
    axes = (SIZE, LINES, SEED)
    said = page(axes, lang)
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert len(said.splitlines()) < ROWS_MAX + 20
    assert str(120 - ROWS_MAX) in said
    assert said.index("120") < said.index("fleets.meters.lines")


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_page_of_replications_says_mean_half_width_and_how_many_hold(lang: str) -> None:
    lines = page((LINES,), lang, rows_of((LINES,), 20)).splitlines()
    first = next(at for at, line in enumerate(lines) if line.split()[:1] == ["1000"])
    assert "100.000%" in lines[first]
    assert "+-1.000%" in lines[first + 1]
    assert lines[first + 1].endswith("20/20") or "20/20" in lines[first + 1]
    assert any("0/20" in line.split() for line in lines)
    assert any("95 %" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_the_page_counts_verdicts_and_marks_unknown_prices() -> None:
    said = page((LINES,), "en")
    assert said.splitlines()[0] == "3 points: 2 hold, 1 fail"
    assert ">= 1,101" in " ".join(said.split())
    unjudged = [
        PointRow(**{name: getattr(row, name) for name in row.__struct_fields__} | {"verdict": one})
        for row, one in zip(rows_of((LINES,)), itertools.repeat("no_objectives"), strict=False)
    ]
    assert page((LINES,), "en", unjudged).startswith("3 points; the scenario has no objectives")
