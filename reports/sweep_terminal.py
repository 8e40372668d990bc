"""A sweep on a terminal: how many points hold, then one line of figures a point.

Owns: order, columns and wording on the screen. Does not own: any figure (``vpg.sweeps``).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.box import Box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.replications import amount
from reports.texts import counted, duration, percent, plain, text
from vpg.sweeps import short_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from scenarios.model import Scenario
    from vpg.replications import FigureName
    from vpg.sweeps import Axis, PointRow

ROWS_MAX = 40
_BOX = Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
_ESTIMATED: tuple[tuple[FigureName, str], ...] = (
    ("accepted_share", "ppm"),
    ("throttled_share", "ppm"),
    ("refused_attach_share", "ppm"),
    ("delay_us_p99", "us"),
    ("lines_peak", "sessions"),
    ("charges_yen", "yen"),
)
"""The same figures over replications."""
_FIGURES = ("accepted", "throttled", "refused", "delay", "lines", "charges")


def print_sweep(  # noqa: PLR0917 - the whole sweep, then where and how
    console: Console,
    scenario: Scenario,
    axes: Sequence[Axis],
    rows: Sequence[PointRow],
    sweep_dir: str,
    lang: str,
) -> None:
    """Print a sweep in ``lang`` ("ja" or "en"), at most ``ROWS_MAX`` points of it."""
    ordered = sorted(rows, key=lambda row: row.point)
    console.print(Text(_counts(ordered, lang), style="bold"))
    name = plain(scenario.title_in(lang) or scenario.name)
    console.print(Text(f"{name} ({plain(scenario.variant)})" if scenario.variant else name))
    keys = ", ".join(plain(axis.key) for axis in axes)
    console.print(Text(text("sweep.keys", lang, keys=keys)))
    most = max((row.replications for row in ordered), default=0)
    if most > 1:
        least = min(row.replications for row in ordered)
        each = f"{most:,}" if least == most else f"{least:,}-{most:,}"
        console.print(Text(text("sweep.replications", lang, each=each)))
    console.print()
    table = Table(box=_BOX, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for axis, short in zip(axes, short_keys(axes), strict=True):
        right = axis.numbers is not None
        table.add_column(Text(plain(short)), justify="right" if right else "left", overflow="fold")
    for key in _FIGURES:
        table.add_column(Text(text(f"sweep.{key}", lang)), justify="right", overflow="fold")
    table.add_column(Text(text("sweep.verdict", lang)), overflow="fold")
    for row in ordered[:ROWS_MAX]:
        table.add_row(
            *(plain(value) for value in row.values), *_cells(row, lang), _verdict(row, lang)
        )
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    if len(ordered) > ROWS_MAX:
        rest = counted(len(ordered) - ROWS_MAX)
        console.print(Text(text("sweep.more_points", lang, count=rest)))
    console.print()
    console.print(Text(text("sweep.results", lang, path=plain(sweep_dir))))


def _counts(rows: Sequence[PointRow], lang: str) -> str:
    verdicts = Counter(row.verdict for row in rows)
    if verdicts["no_objectives"] == len(rows):
        return text("sweep.counts_unjudged", lang, count=counted(len(rows)))
    return text(
        "sweep.counts",
        lang,
        count=counted(len(rows)),
        holds=f"{verdicts['holds']:,}",
        fails=f"{verdicts['fails']:,}",
    )


def _cells(row: PointRow, lang: str) -> tuple[str, ...]:
    if row.replications > 1:
        return tuple(_estimated(row, *one, lang) for one in _ESTIMATED)
    yen = f"{row.charges_tax_included_yen:,}"
    return (
        percent(row.accepted_share_ppm),
        percent(row.throttled_ppm),
        percent(row.refused_attach_ppm),
        duration(row.delay_us_p99, lang),
        f"{row.lines_peak:,}",
        yen if row.charges_complete else text("sweep.yen_at_least", lang, amount=yen),
    )


def _estimated(row: PointRow, figure: FigureName, unit: str, lang: str) -> str:
    """Return the mean of a figure and below it the half width of its interval."""
    one = row.estimate(figure)
    mean = amount(unit, one.mean, lang)
    if figure == "charges_yen" and not row.charges_complete:
        mean = text("sweep.yen_at_least", lang, amount=mean)
    half = 0.0 if one.lower is None or one.upper is None else (one.upper - one.lower) / 2
    return f"{mean}\n+-{amount(unit, half, lang, up=True)}"


def _verdict(row: PointRow, lang: str) -> Text:
    words = text(f"sweep.{row.verdict}", lang)
    if row.replications > 1 and row.verdict != "no_objectives":
        words += f"\n{row.objectives_met:,}/{row.replications:,}"
    return Text(words, style="red" if row.verdict == "fails" else "")
