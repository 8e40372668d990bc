"""The charts: every shape of run draws without a warning, with the same bytes twice."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from reports import charts_axes, charts_panels, fonts
from reports.charts import NAMES, SHOWN_MAX, draw_charts, worst_vpgs
from reports.series import vpg_series
from scenarios.model import Assumptions, Limiter, Recreate
from tests.support import ROOT
from tests.support_reports import (
    START_US,
    Gateway,
    Minute,
    accounts,
    crowded,
    meters,
    quiet,
    run,
    scenario,
    vpg,
)
from vpg.billing.month import month_to_date
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargeRow
from vpg.timebase import DAY_US, HOUR_US, MINUTE_US

if TYPE_CHECKING:
    from pathlib import Path

CATALOGUE = load_catalogue()
RESIZE = Recreate(at_us=START_US + 90 * MINUTE_US, vpg_id="osaka", type="C", size="large")
SHAPES: dict[str, tuple[list[Gateway], int, dict[str, Any], dict[str, Any]]] = {
    "storm": ([meters()], 24, {}, {}),
    "several": ([meters(), quiet(), crowded()], 24, {"title": "東京 𠮷 $x_1$ \u202e\n<b>&"}, {}),
    "many": ([quiet(f"v{i}", hours=2) for i in range(SHOWN_MAX + 3)], 2, {}, {}),
    "month": ([crowded(hours=744)], 744, {}, {}),
    "silent_hour": ([Gateway(vpg=vpg("x" * 60))], 1, {"fleets": ()}, {}),
    "uncapped": ([quiet("e", type="E", size="", hours=6)], 6, {}, {}),
    "resized": ([quiet(hours=3)], 3, {"events": (RESIZE,)}, {}),
    "partial": (
        [quiet(hours=3)],
        3,
        {"assumptions": Assumptions(a05_rate_shared="each")},
        {"status": "partial", "ended_at_us": START_US + 100 * MINUTE_US},
    ),
}


def drawn(
    shape: str, folder: Path, lang: str, formats: tuple[str, ...] = ("png", "svg")
) -> list[Path]:
    gateways, hours, story, outcome = SHAPES[shape]
    meant = scenario(gateways, hours, **story)
    result = run(meant, gateways, **outcome)
    rows, _ = accounts(result, CATALOGUE)
    return draw_charts(meant, CATALOGUE, result, rows, folder, lang, formats)


def texts_of(figure: Figure) -> list[str]:
    from matplotlib.text import Text

    return [one.get_text() for one in figure.findobj(Text) if isinstance(one, Text)]


def page_of(shape: str, lang: str = "en") -> charts_panels.Page:
    gateways, hours, story, outcome = SHAPES[shape]
    meant = scenario(gateways, hours, **story)
    result = run(meant, gateways, **outcome)
    vpgs = worst_vpgs(meant, CATALOGUE, result)
    return charts_panels.Page(
        scenario=meant, catalogue=CATALOGUE, result=result, lang=lang, vpgs=vpgs, notes=()
    )


def series_of(page: charts_panels.Page) -> list[Any]:
    return [vpg_series(page.scenario, CATALOGUE, page.result, vpg) for vpg in page.vpgs]


@pytest.mark.parametrize(
    ("shape", "lang"),
    [(shape, ("ja", "en")[i % 2]) for i, shape in enumerate(SHAPES)] + [("several", "ja")],
)
def test_every_shape_of_run_is_drawn(shape: str, lang: str, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    paths = drawn(shape, tmp_path, lang)
    assert [path.name for path in paths] == [f"{n}.{k}" for n in NAMES for k in ("png", "svg")]
    for path in paths:
        if path.suffix == ".svg":
            root = ET.parse(path).getroot()  # noqa: S314 - our own file
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            assert b"dc:date" not in path.read_bytes()
        else:
            assert path.read_bytes().startswith(b"\x89PNG")
            assert b"Software" not in path.read_bytes()[:2000]
    assert dict(mpl.rcParams) == before


OTHER_PROCESS = """
import hashlib, pathlib, sys, types
for name in ("tests", "tests.unit"):  # another distribution may have brought its own `tests`
    package = types.ModuleType(name)
    package.__path__ = [name.replace(".", "/")]
    sys.modules[name] = package
import tests.unit.test_charts as own
for path in own.drawn("resized", pathlib.Path(sys.argv[1]), "ja"):
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
for name in ("matplotlib.pyplot", "matplotlib_fontja"):
    print(name, name in sys.modules)
"""


def test_another_process_draws_the_same_bytes_and_never_loads_pyplot(tmp_path: Path) -> None:
    other, here = tmp_path / "other", tmp_path / "here"
    for folder in (other, here):
        folder.mkdir()
    told = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(other)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)},
    ).stdout.splitlines()
    assert told[-2:] == ["matplotlib.pyplot False", "matplotlib_fontja False"]
    assert told[:-2] == [
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in drawn("resized", here, "ja")
    ]


def test_the_language_changes_the_picture(tmp_path: Path) -> None:
    for lang in ("ja", "en"):
        (tmp_path / lang).mkdir()
    english, japanese = (
        drawn("silent_hour", tmp_path / lang, lang, ("svg",)) for lang in ("en", "ja")
    )
    assert [p.name for p in english] == [f"{name}.svg" for name in NAMES]
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(english, japanese, strict=True))


def test_reports_import_without_matplotlib() -> None:
    code = (
        "import sys, reports.charts, reports.charts_panels, reports.summary, reports.terminal\n"
        "assert not {m for m in sys.modules if m.split('.')[0] in ('matplotlib', 'numpy', 'sim')}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# ---- what stands on the paper --------------------------------------------------------------------


def test_a_single_bin_is_as_wide_as_its_minute() -> None:
    minutes = {7: Minute(attempts=40, throttled=10, peak_per_s=40)}
    gateway = Gateway(vpg=vpg(), minutes=minutes)
    meant = scenario([gateway], 1)
    series = vpg_series(meant, CATALOGUE, run(meant, [gateway]), gateway.vpg)
    axes = Figure().subplots()
    charts_panels._bars(axes, series, series.accepted, series.attempts, colour="red")
    (shape,) = axes.collections
    box = shape.get_paths()[0].get_extents()
    assert (box.x0, box.x1) == (START_US + 7 * MINUTE_US, START_US + 8 * MINUTE_US)
    assert (box.y0, box.y1) == (0, 40)


def test_limits_are_written_beside_their_lines() -> None:
    page = page_of("storm")
    series = series_of(page)
    assert "limit\n30/s" in texts_of(charts_panels.requests(page, series))
    assert "limit\n1,800/min" in texts_of(charts_panels.requests(page, series))
    assert "cap\n1,000" in texts_of(charts_panels.lines(page, series))
    japanese = replace(page, lang="ja")
    assert "上限\n30/秒" in texts_of(charts_panels.requests(japanese, series))


def test_a_limit_far_above_the_data_is_told_instead_of_drawn() -> None:
    page = page_of("several")
    assert "limit 1,800/min, off this scale" in texts_of(
        charts_panels.requests(page, series_of(page))
    )


def test_an_uncapped_type_has_a_note_and_no_line() -> None:
    page = page_of("uncapped")
    words = texts_of(charts_panels.requests(page, series_of(page)))
    assert "Type-E: the catalogue has no request limit" in words
    assert not [one for one in words if one.startswith("limit")]
    words = texts_of(charts_panels.lines(page, series_of(page)))
    assert "Type-E: the catalogue has no line cap" in words


def test_a_resize_shows_in_heading_and_limit() -> None:
    page = page_of("resized")
    words = texts_of(charts_panels.requests(page, series_of(page)))
    assert "osaka (Type-C Small → Type-C Large)" in words
    assert "limit\n300/s" in words


def test_nothing_is_said_to_be_nothing() -> None:
    page = page_of("silent_hour")
    series = series_of(page)
    assert "no requests" in texts_of(charts_panels.requests(page, series))
    assert "no attach was refused" in texts_of(charts_panels.lines(page, series))
    assert "no message was delivered" in texts_of(charts_panels.delays(page))
    assert "no charges" in texts_of(charts_panels.charges(page, ()))


def test_notes_name_the_vpgs_left_out_and_an_early_end() -> None:
    from reports.charts import _notes

    many, partial = page_of("many"), page_of("partial")
    assert len(many.vpgs) == SHOWN_MAX
    (note,) = _notes(many.scenario, many.result, "en")
    assert note.startswith(f"{SHOWN_MAX} of {SHOWN_MAX + 3} VPGs shown")
    early, each = _notes(partial.scenario, partial.result, "en")
    assert early == "partial run: ends early, at 2026-04-01 10:40"
    assert "A-05" in each


def test_the_worst_vpgs_are_shown_in_the_order_of_the_file() -> None:
    gateways = [quiet(f"v{i}", hours=2) for i in range(SHOWN_MAX + 1)]
    gateways.append(meters("last", hours=2))
    meant = scenario(gateways, 2)
    shown = worst_vpgs(meant, CATALOGUE, run(meant, gateways))
    assert [one.id for one in shown] == [*(f"v{i}" for i in range(SHOWN_MAX - 1)), "last"]


@pytest.mark.parametrize(
    ("hours", "narrow", "labels"),
    [
        (1, False, ["09:00\nApr 1", "09:10", "09:20", "09:30", "09:40", "09:50", "10:00"]),
        (24, True, ["12:00\nApr 1", "18:00", "00:00\nApr 2", "06:00"]),
        (744, False, ["Apr 2", "Apr 7", "Apr 12", "Apr 17", "Apr 22", "Apr 27", "May 2"]),
    ],
)
def test_ticks_stand_at_round_times_in_jst(hours: int, narrow: bool, labels: list[str]) -> None:
    figure = Figure()
    axes = figure.subplots()
    charts_axes.time_axis(axes, START_US, START_US + hours * HOUR_US, "en", narrow=narrow)
    assert [one.get_text() for one in axes.get_xticklabels()] == labels
    assert all((place + 9 * HOUR_US) % (10 * MINUTE_US) == 0 for place in axes.get_xticks())
    assert DAY_US == 24 * HOUR_US


def charge(hour: int, item: str, yen: int | None) -> ChargeRow:
    micro = None if yen is None else yen * 1_000_000
    return ChargeRow(
        vpg_id="v", hour_start_us=START_US + hour * HOUR_US, bill_item=item, quantity=1,
        unit_price_micro_yen=micro, amount_micro_yen=micro,
    )  # fmt: skip


def test_charges_are_stacked_and_summed_by_the_month() -> None:
    rows = [charge(hour, "vpg_c_small", 50) for hour in range(744)]
    rows += [charge(0, "contract_fee_c", 980), charge(5, "vpg_e", None)]
    fees, items, cumulative, unpriced = charts_panels._charge_series(rows, START_US, 744)
    assert fees == [("contract_fee_c", 980_000_000)]
    assert items == {"vpg_c_small": [50_000_000] * 744}
    assert unpriced == ["vpg_e"]
    assert cumulative == [total for _, _, total in month_to_date(rows)]
    assert cumulative[719] == (720 * 50 + 980) * 1_000_000  # April has 720 hours
    assert cumulative[720] == 50_000_000


def test_more_items_than_colours_end_in_other() -> None:
    items = {f"item_{i}": [i + 1] for i in range(10)}
    merged = charts_panels._merged(items, 1)
    assert list(merged) == ["item_9", "item_8", "item_7", "item_6", "item_5", "item_4", "other"]
    assert merged["other"] == [1 + 2 + 3 + 4]
    assert sum(values[0] for values in merged.values()) == 55


# ---- fonts ---------------------------------------------------------------------------------------


def test_japanese_is_drawn_by_the_font_that_ships_with_us() -> None:
    path = fonts.japanese_font_file()
    assert path is not None
    assert path.name == "ipaexg.ttf"
    assert fonts.families("ja")[:2] == ("IPAexGothic", "DejaVu Sans")
    assert fonts.families("en")[:2] == ("DejaVu Sans", "IPAexGothic")
    assert fonts.can_draw_japanese()


def test_what_no_font_has_is_a_geta_mark_and_control_characters_are_spaces() -> None:
    assert fonts.printable("髙﨑①〜−￥", "ja") == "髙﨑①〜−￥"
    assert fonts.printable("a\nb\u202ec\x00", "ja") == "a b c "
    lacking = chr(0x10FFFD - 2)
    assert fonts.printable(lacking, "ja") == " "  # private use: not a character for people
    assert fonts.printable(chr(0x13000), "ja") in {"〓", chr(0x13000)}


def test_a_missing_glyph_would_be_a_warning_and_so_an_error(tmp_path: Path) -> None:
    with mpl.rc_context(charts_axes.look("ja")):
        figure, _ = charts_axes.new_figure(1, 1, 2.0, 0)
        figure.text(0.5, 0.5, chr(0x13000) + chr(0x1F9FF) + chr(0x1E900))
        with pytest.warns(UserWarning, match="missing from font"):
            charts_axes.save(figure, tmp_path, "x", ("png",))


@pytest.mark.parametrize(
    ("above", "told", "not_told"),
    [("queue", "above the limit: queued", "above the limit"),
     ("reject", "above the limit", "above the limit: queued")],
)  # fmt: skip
def test_what_a_queueing_limiter_holds_back_is_not_told_as_refused(
    above: Literal["queue", "reject"], told: str, not_told: str
) -> None:
    gateways = [meters(hours=1, limiter=Limiter(above=above))]
    meant = scenario(gateways, 1)
    result = run(meant, gateways)
    page = charts_panels.Page(
        scenario=meant, catalogue=CATALOGUE, result=result, lang="en", vpgs=meant.vpgs, notes=()
    )
    series = [vpg_series(meant, CATALOGUE, result, one) for one in meant.vpgs]
    said = texts_of(charts_panels.requests(page, series))
    assert told in said
    assert not_told not in said
