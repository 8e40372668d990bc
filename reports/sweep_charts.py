"""The charts of a sweep: figures along an axis as small multiples, and a map of two number axes.

Owns: which axes become what, colours and markers. Does not own: the figures (``vpg.sweeps``), look
and saving (``charts_axes``). The first axis of numbers runs along x, or else the first axis; every
combination of the other axes is a line. Two axes of numbers also make a map.
"""
# ruff: noqa: PLC0415 - matplotlib is imported inside functions: the command line starts without it

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import charts_axes as ax
from reports.fonts import printable
from reports.texts import text
from vpg.sweeps import points, short_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from scenarios.model import Scenario
    from vpg.replications import FigureName
    from vpg.sweeps import Axis, PointRow

NAMES = ("chart-sweep", "chart-sweep-map")
LINES_MAX = len(ax.STACK)
MAPS_MAX = 3
_CELLS_WRITTEN_MAX = 150
_TICKS_MAX = 10
_LABEL_MAX, _NAME_MAX = 48, 60
_LEGEND_COLUMNS = 3
_ROOM = 1.1
_PPM = 10_000
_WHOLE = 100
_DARK = 0.55
_DELAY_FLOOR_US = 1_000
_MARKS = "os^DvP*"
_PANELS: dict[str, tuple[FigureName, int, int]] = {
    "chart_accepted": ("accepted_share", _PPM, 0),
    "chart_throttled": ("throttled_share", _PPM, 0),
    "chart_delay": ("delay_us_p99", 1, _DELAY_FLOOR_US),
    "chart_charges": ("charges_yen", 1, 0),
}
"""Words of a panel → its figure, how many of its units are one of the axis, what it starts at."""

Combination = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What the charts of one sweep have in common."""

    name: str
    axes: tuple[Axis, ...]
    rows: dict[Combination, PointRow]
    lang: str

    def label(self, axes: Sequence[Axis], values: Combination) -> str:
        """Return the words for one combination of ``axes``."""
        pairs = (f"{key}={value}" for key, value in zip(short_keys(axes), values, strict=True))
        return _cut(printable(", ".join(pairs), self.lang), _LABEL_MAX)

    def row(self, chosen: dict[str, str]) -> PointRow:
        """Return the point where each axis has the value ``chosen`` for its key."""
        return self.rows[tuple(chosen[axis.key] for axis in self.axes)]

    def notes(self, *more: str) -> list[str]:
        """Return ``more`` and what has to be said of the charges."""
        if all(row.charges_complete for row in self.rows.values()):
            return list(more)
        return [*more, text("sweep.chart_incomplete", self.lang)]


def draw_sweep(  # noqa: PLR0917 - the whole sweep, then where and how
    scenario: Scenario,
    axes: Sequence[Axis],
    rows: Sequence[PointRow],
    out_dir: Path,
    lang: str,
    formats: Sequence[str] = ("png", "svg"),
) -> list[Path]:
    """Write the charts of a complete sweep into ``out_dir`` (exists); return the files in order.

    The same arguments give the same bytes on the same machine and matplotlib.
    """
    import matplotlib as mpl

    variant = f" [{scenario.variant}]" if scenario.variant else ""
    title = scenario.title_in(lang) or scenario.name
    page = _Page(
        name=_cut(printable(f"{title}{variant}", lang), _NAME_MAX),
        axes=tuple(axes),
        rows={row.values: row for row in rows},
        lang=lang,
    )
    numbers = [axis for axis in axes if axis.numbers is not None and len(axis.values) > 1]
    along = numbers[0] if numbers else axes[0]
    with mpl.rc_context(ax.look(lang)):
        paths = ax.save(_lines(page, along), out_dir, NAMES[0], formats)
        if len(numbers) == 2:  # noqa: PLR2004 - a map has two sides
            paths += ax.save(_maps(page, numbers[0], numbers[1]), out_dir, NAMES[1], formats)
    return paths


# ---- small multiples -----------------------------------------------------------------------------


def _lines(page: _Page, along: Axis) -> Figure:
    others = [axis for axis in page.axes if axis is not along]
    every = list(points(others))
    shown = _spread(every, LINES_MAX)
    named = [page.label(others, values) for values in shown] if others else []
    notes = page.notes()
    if any(row.replications > 1 for row in page.rows.values()):
        notes.append(text("sweep.chart_bars", page.lang))
    if any(row.verdict == "fails" for row in page.rows.values()):
        notes.append(text("sweep.chart_hollow", page.lang))
    if len(shown) < len(every):
        notes.append(text("sweep.chart_some", page.lang, shown=len(shown), count=f"{len(every):,}"))
    legend_rows = -(-len(named) // _LEGEND_COLUMNS)
    figure, grid = ax.new_figure(2, 2, 2.6, len(notes) + legend_rows)
    places = _places(along)
    for axes, name in zip(itertools.chain(*grid), _PANELS, strict=True):
        handles = []
        for index, values in enumerate(shown):
            rows = [page.row(_chosen(along, value, others, values)) for value in along.values]
            connected = along.numbers is not None
            handles.append(_line(axes, places, rows, name, index, connected=connected))
        _scale(page, axes, name, _heights(page, name))
    for axes in grid[-1]:
        _along(axes, along, places, page.lang)
    ax.heading(figure, text("sweep.title", page.lang, name=page.name), notes)
    if named:
        # Below the heading and its notes: it never covers data.
        top_inches = 0.32 + 0.2 * len(notes)
        figure.legend(
            handles,
            named,
            loc="upper center",
            bbox_to_anchor=(0.5, 1 - top_inches / figure.get_figheight()),
            ncols=min(_LEGEND_COLUMNS, len(named)),
            borderaxespad=0.0,
        )
    return figure


def _mean(row: PointRow, panel: str) -> float:
    figure, unit, floor = _PANELS[panel]
    return max(floor, row.estimate(figure).mean / unit)


def _heights(page: _Page, panel: str) -> list[float]:
    """Return the ends of every interval: what has to be in the picture."""
    found = []
    for row in page.rows.values():
        mean, (below, above) = _mean(row, panel), _spread_of(row, panel)
        found += [mean - below, mean + above]
    return found


def _spread_of(row: PointRow, panel: str) -> tuple[float, float]:
    """Return how far the interval reaches below and above the mean, within what can be."""
    figure, unit, floor = _PANELS[panel]
    one, mean = row.estimate(figure), _mean(row, panel)
    if one.lower is None or one.upper is None:
        return 0.0, 0.0
    top = _WHOLE if unit == _PPM else math.inf
    low, high = max(floor, one.lower / unit), min(top, one.upper / unit)
    return max(0.0, mean - low), max(0.0, high - mean)


def _line(
    axes: Axes,
    places: Sequence[float],
    rows: Sequence[PointRow],
    panel: str,
    index: int,
    *,
    connected: bool,
) -> Line2D:
    """Draw one line of one panel and return what stands for it in a legend."""
    heights = [_mean(row, panel) for row in rows]
    colour, mark = ax.STACK[index], _MARKS[index % len(_MARKS)]
    if any(row.replications > 1 for row in rows):
        below, above = zip(*(_spread_of(row, panel) for row in rows), strict=True)
        axes.errorbar(
            places,
            heights,
            yerr=(below, above),
            ls="",
            ecolor=colour,
            elinewidth=1.2,
            capsize=3,
            zorder=3 + index / 100,
        )
    (drawn,) = axes.plot(
        places,
        heights,
        color=colour,
        ls="-" if connected else "",
        marker=mark,
        ms=5,
        zorder=3 + index / 100,
    )
    missed = [place for place, row in enumerate(rows) if row.verdict == "fails"]
    axes.plot(
        [places[at] for at in missed],
        [heights[at] for at in missed],
        color=colour,
        ls="",
        marker=mark,
        ms=5,
        mfc="white",
        zorder=4 + index / 100,
    )
    return drawn


def _scale(page: _Page, axes: Axes, name: str, values: Sequence[float]) -> None:
    axes.set_title(text(f"sweep.{name}", page.lang), loc="left")
    if name == "chart_delay":
        ax.delay_axis(axes, int(min(values)), int(max(values)), page.lang, floor_us=_DELAY_FLOOR_US)
        return
    ax.whole_numbers(axes)
    if name == "chart_charges":
        axes.set_ylim(0, max(*values, 1) * _ROOM)
        return
    axes.yaxis.set_major_formatter(_percent)
    if name == "chart_throttled":
        axes.set_ylim(0, max(max(values) * _ROOM, 1))
    else:  # Shares close to all of it are the question, so the axis begins where they do.
        missing = max(100 - min(values), 1)
        axes.set_ylim(100 - missing * _ROOM, 100 + missing * (_ROOM - 1))


def _percent(value: float, _position: float | None = None) -> str:
    return f"{value:g}"


# ---- maps ----------------------------------------------------------------------------------------


def _maps(page: _Page, along: Axis, up: Axis) -> Figure:
    """Return the maps: delivered at the left, throttled at the right, one row a combination."""
    others = [axis for axis in page.axes if axis not in (along, up)]
    every = list(points(others))
    shown = _spread(every, MAPS_MAX)
    notes = []
    if any(row.verdict == "fails" for row in page.rows.values()):
        notes.append(text("sweep.map_boundary", page.lang))
    if len(shown) < len(every):
        notes.append(text("sweep.chart_some", page.lang, shown=len(shown), count=f"{len(every):,}"))
    figure, grid = ax.new_figure(len(shown), 2, 3.8 if len(shown) == 1 else 3.0, len(notes))
    for line, values in zip(grid, shown, strict=True):
        cells = [
            [page.row(_chosen(along, x, (up, *others), (y, *values))) for x in along.values]
            for y in up.values
        ]
        which = f" ({page.label(others, values)})" if others else ""
        for axes, name in zip(line, ("chart_accepted", "chart_throttled"), strict=True):
            _map(page, axes, cells, throttled=name == "chart_throttled")
            axes.set_title(text(f"sweep.{name}", page.lang) + which, loc="left")
            ticks = list(range(0, len(up.values), _every(len(up.values))))
            axes.set_yticks(ticks, [printable(up.values[at], page.lang) for at in ticks])
        line[0].set_ylabel(_cut(printable(up.key, page.lang), _LABEL_MAX))
    for axes in grid[-1]:
        _along(axes, along, list(range(len(along.values))), page.lang)
    ax.heading(figure, text("sweep.title", page.lang, name=page.name), notes)
    return figure


def _map(page: _Page, axes: Axes, cells: Sequence[Sequence[PointRow]], *, throttled: bool) -> None:
    def ppm(row: PointRow) -> int:
        if row.replications > 1:
            mean = row.estimate("throttled_share" if throttled else "accepted_share").mean
            # Towards the middle: what is neither nothing nor all never reads as either.
            return min(math.ceil(mean), 100 * _PPM - (mean < 100 * _PPM))
        return row.throttled_ppm if throttled else row.accepted_share_ppm

    # One scale for all maps of a figure: they are there to be compared.
    every = [ppm(row) for row in page.rows.values()]
    low, high = (0, max(*every, _PPM)) if throttled else (min(*every, 99 * _PPM), 100 * _PPM)
    axes.grid(visible=False)
    axes.imshow(
        [[ppm(row) for row in line] for line in cells],
        origin="lower",
        aspect="auto",
        # Light is good in both.
        cmap="cividis_r" if throttled else "cividis",
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    written = len(cells) * len(cells[0]) <= _CELLS_WRITTEN_MAX
    for y, line in enumerate(cells):
        for x, row in enumerate(line):
            if row.verdict == "fails":
                _hatch(axes, x, y)
            if written:
                part = (ppm(row) - low) / (high - low)
                dark = (1 - part if throttled else part) < _DARK
                axes.text(
                    x, y, _share(ppm(row)), ha="center", va="center", fontsize=7.5,
                    color="white" if dark else "black",
                )  # fmt: skip
    for (x0, y0), (x1, y1) in _boundary(cells):
        axes.plot([x0, x1], [y0, y1], color="black", lw=2.2, solid_capstyle="projecting")


def _share(ppm: int) -> str:
    """Return a share in percent for a cell: never 100 for less, never 0 for more.

    >>> _share(1_000_000), _share(999_999), _share(12_345), _share(999), _share(0)
    ('100', '99.9', '1.2', '<0.1', '0')
    """
    if ppm in (0, 100 * _PPM):
        return str(ppm // _PPM)
    return f"{ppm // _PPM}.{ppm // 1_000 % 10}" if ppm >= 1_000 else "<0.1"  # noqa: PLR2004


def _hatch(axes: Axes, x: int, y: int) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, hatch="///", lw=0, ec="#80808080")
    )


def _boundary(
    cells: Sequence[Sequence[PointRow]],
) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the edges between a cell that misses an objective and a neighbour that misses none."""
    missed = [[row.verdict == "fails" for row in line] for line in cells]
    for y, line in enumerate(missed):
        for x, here in enumerate(line):
            if x + 1 < len(line) and here != line[x + 1]:
                yield (x + 0.5, y - 0.5), (x + 0.5, y + 0.5)
            if y + 1 < len(missed) and here != missed[y + 1][x]:
                yield (x - 0.5, y + 0.5), (x + 0.5, y + 0.5)


# ---- axes ----------------------------------------------------------------------------------------


def _chosen(along: Axis, value: str, others: Sequence[Axis], values: Combination) -> dict[str, str]:
    return {along.key: value} | {axis.key: own for axis, own in zip(others, values, strict=True)}


def _places(axis: Axis) -> list[float]:
    """Return where on x each value of ``axis`` stands: numbers by size, others by turn."""
    if axis.numbers is None:
        return [float(at) for at in range(len(axis.values))]
    return [float(number) for number in axis.numbers]


def _along(axes: Axes, axis: Axis, places: Sequence[float], lang: str) -> None:
    axes.set_xlabel(_cut(printable(axis.key, lang), _LABEL_MAX))
    chosen = range(0, len(places), _every(len(places)))
    words = [printable(axis.values[at], lang) for at in chosen]
    axes.set_xticks([places[at] for at in chosen], [_cut(word, 12) for word in words])


def _every(count: int) -> int:
    return -(-count // _TICKS_MAX)


def _spread(every: list[Combination], most: int) -> list[Combination]:
    """Return at most ``most`` of ``every``, evenly spread, the first and last among them."""
    if len(every) <= most:
        return every
    return [every[at * (len(every) - 1) // (most - 1)] for at in range(most)]


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"
