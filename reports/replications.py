"""The figures of several replications as people read them: cells of a table, and remarks.

Owns: rounding and words. Does not own: the figures (``document``) or the layout (``terminal``). An
interval never reads narrower than it is: half widths are rounded up, shares towards the middle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reports.texts import duration, label, plain, text

if TYPE_CHECKING:
    from reports.document import FigurePart, ReplicationsPart

COLUMNS = ("figure", "mean", "half_width", "smallest", "largest")
_WORDS = {
    "accepted_share": "accepted_ppm_min",
    "throttled_share": "throttled_ppm_max",
    "refused_attach_share": "refused_attach_ppm_max",
    "delay_us_p99": "delay_us_p99_max",
    "rate_peak_per_s": "rate_peak_per_s_max",
    "lines_peak": "lines_peak_max",
    "charges_yen": "charges_yen_max",
    "lost_messages": "lost_messages_max",
}
_PPM_TO_MILLI_PERCENT = 10
_WHOLE = 100_000
"""100 % in thousandths of a percent."""


def cells(figure: FigurePart, lang: str) -> tuple[str, ...]:
    """Return one row of the table, in the order of ``COLUMNS``."""
    half = "-"
    if figure.half_width is not None:
        half = amount(figure.unit, figure.half_width, lang, up=True)
    return (
        label("objective", _WORDS[figure.figure], lang),
        amount(figure.unit, figure.mean, lang),
        half,
        amount(figure.unit, figure.smallest, lang),
        amount(figure.unit, figure.largest, lang),
    )


def remarks(part: ReplicationsPart, lang: str, *, judged: bool) -> list[str]:
    """Return what is to be said below the table; ``judged``: the scenario has objectives."""
    said = []
    if judged and part.finished:
        said.append(
            text("summary.all_met_in", lang, met=part.objectives_met, finished=part.finished)
        )
    if part.until is not None:
        key = "summary.until_met" if part.until.met else "summary.until_missed"
        said.append(text(key, lang, asked=plain(part.until.asked), finished=part.finished))
    batches = [figure for figure in part.figures if figure.method == "batch_means"]
    if batches:
        hours = max(figure.warm_up_h for figure in batches)
        said.append(text("summary.batch_means", lang, count=batches[0].n, hours=hours))
    return said


def amount(unit: str, number: float, lang: str, *, up: bool = False) -> str:
    """Return ``number`` as people read it; ``up``: never smaller than it is (a half width)."""
    if unit == "ppm":
        return _share(number / _PPM_TO_MILLI_PERCENT, up=up)
    if unit == "us":
        return duration(math.ceil(number) if up else round(number), lang)
    tenths = math.ceil(number * 10) if up else round(number * 10)
    return f"{tenths // 10:,}" if tenths % 10 == 0 else f"{tenths / 10:,.1f}"


def _share(milli_percent: float, *, up: bool) -> str:
    """Return a share; what is neither 0 nor 100 % never reads as either."""
    shown = math.ceil(milli_percent) if up else round(milli_percent)
    if not up:
        shown = max(shown, 1) if milli_percent > 0 else shown
        shown = min(shown, _WHOLE - 1) if milli_percent < _WHOLE else shown
    return f"{shown / 1000:.3f}%"
