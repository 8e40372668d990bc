"""What every chart shares: look, time axis in JST, limit lines, files equal byte for byte.

Owns: palette, ``rcParams`` used while drawing (never the global ones), ticks, saving. Does not own:
what a chart shows.
"""
# ruff: noqa: PLC0415 - matplotlib is imported inside functions: the command line starts without it

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.fonts import families
from reports.texts import text
from vpg.timebase import DAY_US, HOUR_US, MINUTE_US, to_jst

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers (Color Universal Design, 2008).
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PINK, SKY, YELLOW, BLACK, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#222222", "#8A8A8A"
STACK = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, RED)

WIDTH_INCHES = 10.0
DPI = 120
_TICKS_MAX = 8
_STEPS_US = (
    *(n * MINUTE_US for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR_US for n in (1, 2, 3, 6, 12)),
    *(n * DAY_US for n in (1, 2, 5, 7, 14, 31)),
)
_JST_OFFSET_US = 9 * HOUR_US


def look(lang: str) -> Any:  # noqa: ANN401 - matplotlib wants a dict with 300 literal keys
    """Return the ``rcParams`` to draw with, for ``matplotlib.rc_context``."""
    return {
        "font.family": list(families(lang)),
        "font.size": 9.0,
        "axes.titlesize": 9.5,
        "axes.labelsize": 8.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.unicode_minus": False,
        "axes.linewidth": 0.8,
        "grid.color": "#DDDDDD",
        "grid.linewidth": 0.6,
        "legend.fontsize": 8.0,
        "legend.frameon": False,
        "xtick.labelsize": 8.0,
        "ytick.labelsize": 8.0,
        "lines.linewidth": 1.2,
        "text.parse_math": False,
        "svg.hashsalt": "vpgsim",
        "svg.fonttype": "path",
        "path.simplify": True,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
    }


def new_figure(rows: int, columns: int, row_inches: float) -> tuple[Figure, list[list[Axes]]]:
    """Return an empty figure of ``rows`` × ``columns`` axes that share the time axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, 0.9 + rows * row_inches), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    return figure, [list(line) for line in grid]


def save(figure: Figure, out_dir: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """Write ``figure`` as ``name`` in each of ``formats`` ("png", "svg"), always the same bytes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    paths = []
    for kind in formats:
        path = out_dir / f"{name}.{kind}"
        if kind == "svg":
            FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None})  # type: ignore[no-untyped-call]
        else:
            figure.savefig(path, format=kind, dpi=DPI, metadata={"Software": None})
        paths.append(path)
        figure.set_layout_engine("none")  # laid out once: the next format takes the same places
    return paths


def time_axis(axes: Axes, start_us: int, end_us: int, lang: str, *, narrow: bool) -> None:
    """Give ``axes`` (x in SimUs) ticks at round JST times, with the date where a day begins."""
    most = _TICKS_MAX // 2 if narrow else _TICKS_MAX
    span = max(end_us - start_us, MINUTE_US)
    step = next((s for s in _STEPS_US if span <= s * most), _STEPS_US[-1])
    first = -(-(start_us + _JST_OFFSET_US) // step) * step - _JST_OFFSET_US
    places = list(range(first, end_us + 1, step))
    axes.set_xlim(start_us, end_us)
    axes.set_xticks(places, [_tick(at, step, at == places[0], lang) for at in places])


def _tick(at_us: int, step_us: int, first: bool, lang: str) -> str:  # noqa: FBT001 - private
    at = to_jst(at_us)
    day = text("chart.day", lang, month=text(f"chart.month_{at.month}", lang), day=at.day)
    if step_us >= DAY_US:
        return day
    clock = f"{at:%H:%M}"
    return f"{clock}\n{day}" if first or clock == "00:00" else clock


def limit_line(
    axes: Axes, edges_us: Sequence[int], limits: Sequence[int | None], key: str, lang: str
) -> None:
    """Draw ``limits`` (one a bin) as dashed steps and write the last one beside its line."""
    heights = [float("nan") if limit is None else float(limit) for limit in limits]
    if not any(limit is not None for limit in limits):
        return
    axes.step(edges_us, [*heights, heights[-1]], where="post", color=BLACK, ls="--", lw=1.1)
    last = next(limit for limit in reversed(limits) if limit is not None)
    axes.annotate(
        text(key, lang, limit=last),
        xy=(1.0, last),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=BLACK,
        annotation_clip=False,
    )


def remark(axes: Axes, words: str, *, place: tuple[float, float] = (0.99, 0.96)) -> None:
    """Write ``words`` small inside ``axes``, right-aligned at ``place`` (fractions of the axes)."""
    axes.text(
        *place,
        words,
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=8,
        color="#444444",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
    )


def whole_numbers(axes: Axes) -> None:
    """Give the y axis whole numbers with thousands separators, from 0."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=2))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))


def _thousands(value: float, _position: int | None) -> str:
    return f"{value:,.0f}"
