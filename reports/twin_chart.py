"""The chart of a twin check: how far both sides are apart, and the delays of both.

Owns: what the chart shows. Does not own: the figures, which are handed in, or look and saving
(``charts_axes``). Times: delays in µs of service time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from reports import charts_axes as ax
from reports.texts import duration, label, text
from vpg.rating.histogram import upper_us

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

NAME = "chart-twin"
ROW_INCHES = 3.4
_ENDS = 2.0
"""Differences beyond so many tolerances are drawn there."""
_FLOOR_US = 100
_PPM_PERCENT = 10_000
_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinFigure:
    """One figure of both sides."""

    name: str
    kind: Literal["count", "share_ppm", "delay_us", "bytes"]
    simulated: int
    live: int
    tolerance: int

    @property
    def apart(self) -> float:
        """The difference in tolerances; without a tolerance any difference is beyond."""
        difference = self.live - self.simulated
        if not self.tolerance:
            return float((difference > 0) - (difference < 0)) * _ENDS
        return max(-_ENDS, min(_ENDS, difference / self.tolerance))


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinPage:
    """What a chart says."""

    scenario: str
    seconds: int
    speed: int
    verdict: Literal["agree", "disagree", "cannot_tell"]
    figures: tuple[TwinFigure, ...]
    simulated: Mapping[int, int]
    """Delays: bucket → messages."""
    live: Mapping[int, int]


def measure(kind: str, value: int, lang: str) -> str:
    """Return ``value`` for people.

    >>> measure("share_ppm", 35_400, "en"), measure("count", 1_200, "en")
    ('3.54 %', '1,200')
    """
    if kind == "share_ppm":
        return f"{value / _PPM_PERCENT:.2f} %"
    if kind == "delay_us":
        return duration(value, lang)
    return f"{value:,}"


def draw_twin(page: TwinPage, out_dir: Path, lang: str) -> Path:
    """Write the chart as PNG; return where."""
    import matplotlib as mpl  # noqa: PLC0415 - the command line starts without it

    with mpl.rc_context(ax.look(lang)):
        figure, [[left], [right]] = ax.new_figure(2, 1, ROW_INCHES, 1)
        ax.heading(
            figure,
            text(
                "twin.title",
                lang,
                scenario=page.scenario,
                seconds=f"{page.seconds:,}",
                speed=page.speed,
            ),
            [text(f"twin.{page.verdict}", lang)],
        )
        _differences(left, page, lang)
        _delays(right, page, lang)
        return ax.save(figure, out_dir, NAME, ("png",))[0]


def _differences(axes: Axes, page: TwinPage, lang: str) -> None:
    # Both panels share the x axis, which is that of the delays: 0 to 100 %.
    width = _PERCENT / max(1, len(page.figures))
    places = [width * (n + 0.5) for n in range(len(page.figures))]
    heights = [one.apart for one in page.figures]
    colours = [ax.BLUE if abs(height) <= 1 else ax.RED for height in heights]
    axes.axhspan(-1, 1, color=ax.GREEN, alpha=0.12, lw=0)
    axes.axhline(0, color=ax.BLACK, lw=0.8)
    axes.bar(places, heights, width=width * 0.4, color=colours)
    axes.set_ylim(-_ENDS - 0.1, _ENDS + 0.1)
    axes.set_ylabel(text("twin.differences", lang))
    for place, one in zip(places, page.figures, strict=True):
        both = [measure(one.kind, value, lang) for value in (one.simulated, one.live)]
        axes.annotate(
            f"{label('twin', one.name, lang)}\n{both[0]} → {both[1]}",
            xy=(place, -_ENDS),
            ha="center",
            va="bottom",
            fontsize=7,
        )
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")


def _delays(axes: Axes, page: TwinPage, lang: str) -> None:
    ends = [_FLOOR_US]
    for name, counts, colour, style in (
        ("simulated", page.simulated, ax.BLACK, "--"),
        ("live", page.live, ax.BLUE, "-"),
    ):
        total = sum(counts.values())
        if not total:
            continue
        buckets = sorted(counts)
        delays_us = [max(_FLOOR_US, upper_us(bucket)) for bucket in buckets]
        shares = [_PERCENT * n / total for n in accumulate(counts[bucket] for bucket in buckets)]
        words = text(f"twin.{name}", lang)
        axes.step(
            [0.0, *shares], [delays_us[0], *delays_us], where="pre", color=colour, ls=style,
            label=words,
        )  # fmt: skip
        ends += (delays_us[0], delays_us[-1])
    ax.delay_axis(axes, min(ends), max(ends), lang, floor_us=_FLOOR_US)
    axes.set_ylabel(text("twin.delay", lang))
    axes.set_xlabel(text("twin.delays", lang))
    axes.set_xlim(0, _PERCENT)
    ax.legend(axes)
