"""What every chart shares: look, time axis in JST, limit lines, files equal byte for byte.

Owns: palette, ``rcParams`` used while drawing (never the global ones), ticks, saving. Does not own:
what a chart shows.
"""
# ruff: noqa: PLC0415 - matplotlib is imported inside functions: the command line starts without it

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.fonts import families
from reports.texts import duration, text
from vpg.timebase import DAY_US, HOUR_US, MINUTE_US, SECOND_US, to_jst

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
_TOP_INCHES, _NOTE_INCHES, _BOTTOM_INCHES, _GAP_INCHES = 0.68, 0.2, 0.65, 0.45
_LEFT_INCHES, _RIGHT_INCHES, _LABEL_INCHES = 1.1, 0.75, 0.7
_TICKS_MAX = 8
_TICKS_MAX_NARROW = 5
_STEPS_US = (
    *(n * MINUTE_US for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR_US for n in (1, 2, 3, 6, 12)),
    *(n * DAY_US for n in (1, 2, 5, 7, 14, 31)),
)
_JST_OFFSET_US = 9 * HOUR_US
_DELAY_LADDERS_US = (
    (1, 1_000, SECOND_US, MINUTE_US, HOUR_US, 100 * HOUR_US),
    (*(10**k for k in range(8)), *(n * MINUTE_US for n in (1, 10)),
     *(n * HOUR_US for n in (1, 10, 100))),
    (*(n * 10**k for k in range(7) for n in (1, 2, 5)), 10 * SECOND_US, 30 * SECOND_US,
     *(n * MINUTE_US for n in (1, 2, 5, 10, 30)), *(n * HOUR_US for n in (1, 2, 5, 10, 24, 100))),
)  # fmt: skip
"""Places of ticks, from coarse to fine; the coarsest with enough of them in view is used."""
_DELAY_TICKS_MIN = 4


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


def new_figure(
    rows: int, columns: int, row_inches: float, notes: int
) -> tuple[Figure, list[list[Axes]]]:
    """Return an empty figure of ``rows`` × ``columns`` axes, with room for a title and notes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    top_inches = _TOP_INCHES + notes * _NOTE_INCHES
    height = top_inches + _BOTTOM_INCHES + rows * row_inches - _GAP_INCHES
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DPI)
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    # Fixed margins: as good as a layout engine for these texts, at a third of its time.
    panel_inches = (WIDTH_INCHES - columns * (_LEFT_INCHES + _RIGHT_INCHES)) / columns
    figure.subplots_adjust(
        left=_LEFT_INCHES / WIDTH_INCHES,
        right=1 - _RIGHT_INCHES / WIDTH_INCHES,
        top=1 - top_inches / height,
        bottom=_BOTTOM_INCHES / height,
        wspace=(_LEFT_INCHES + _RIGHT_INCHES) / panel_inches,
        hspace=_GAP_INCHES / (row_inches - _GAP_INCHES),
    )
    for axes in grid.flat:
        axes.yaxis.set_label_coords(-_LABEL_INCHES / panel_inches, 0.5)
    return figure, [list(line) for line in grid]


def heading(figure: Figure, words: str, notes: Sequence[str]) -> None:
    """Write ``words`` over the figure and ``notes`` small below them."""
    height = figure.get_figheight()
    for place, (line, size) in enumerate(((words, 11.5), *((note, 8.5) for note in notes))):
        y = 1 - (0.1 + _NOTE_INCHES * place + (0.05 if place else 0)) / height
        figure.text(0.5, y, line, ha="center", va="top", fontsize=size)


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
    return paths


def time_axis(axes: Axes, start_us: int, end_us: int, lang: str, *, narrow: bool) -> None:
    """Give ``axes`` (x in SimUs) ticks at round JST times, with the date where a day begins."""
    most = _TICKS_MAX_NARROW if narrow else _TICKS_MAX
    span = max(end_us - start_us, MINUTE_US)
    step = next((s for s in _STEPS_US if span <= s * most), _STEPS_US[-1])
    grain = min(step, DAY_US)  # ticks stand at JST midnights, or at round times of the JST day
    first = -(-(start_us + _JST_OFFSET_US) // grain) * grain - _JST_OFFSET_US
    places = list(range(first, end_us + 1, step))
    axes.set_xlim(start_us, end_us)
    axes.set_xticks(places, [_tick(at, step, at == places[0], lang) for at in places])


def delay_axis(axes: Axes, low_us: int, high_us: int, lang: str, *, floor_us: int = 1) -> None:
    """Give ``axes`` (y in µs) a log scale around the delays from ``low_us`` to ``high_us``.

    ``floor_us``: what is drawn for every delay up to it.
    """
    from matplotlib.ticker import NullLocator

    bottom, top = low_us * 0.5, high_us * 3
    ticks: list[int] = []
    for ladder in _DELAY_LADDERS_US:
        ticks = [us for us in ladder if bottom <= us <= top]
        if len(ticks) >= _DELAY_TICKS_MIN:
            break
    axes.set_yscale("log")
    axes.set_ylim(bottom, top)
    words = [duration(us, lang) for us in ticks]
    if floor_us in ticks:
        at = ticks.index(floor_us)
        words[at] = text("chart.delay_floor", lang, floor=words[at])
    axes.set_yticks(ticks, words)
    axes.yaxis.set_minor_locator(NullLocator())


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


def remark(axes: Axes, words: str, *, left: bool = False) -> None:
    """Write ``words`` small inside the top right (or left) corner of ``axes``."""
    axes.text(
        0.01 if left else 0.99,
        0.97,
        words,
        transform=axes.transAxes,
        ha="left" if left else "right",
        va="top",
        fontsize=8,
        color="#444444",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
    )


def legend(axes: Axes) -> None:
    """Put the legend on the line of the title, at its right: it never covers data."""
    handles = axes.get_legend_handles_labels()[0]
    if handles:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.01, 0.99),
            ncols=len(handles),
            borderaxespad=0.0,
            columnspacing=1.2,
            handlelength=1.4,
        )


def whole_numbers(axes: Axes) -> None:
    """Give the y axis whole numbers with thousands separators, from 0."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=2))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))


def _thousands(value: float, _position: int | None) -> str:
    return f"{value:,.0f}"
