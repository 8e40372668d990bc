"""A check of the engine on a terminal: one line for each law and figure, then the verdict.

Owns: order, columns and wording on the screen. Does not own: any figure (``vpg.laws``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import Box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.texts import counted, label, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from vpg.laws import LawRow

_BOX = Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
_WORDS = ("law", "setting", "figure")
_NUMBERS = ("theory", "measured", "half_width", "covered")


def print_laws(console: Console, rows: Sequence[LawRow], lang: str) -> None:
    """Print the check in ``lang`` ("ja" or "en")."""
    missed = sum(not row.met for row in rows)
    verdict = text("laws.missed", lang, count=counted(missed)) if missed else text("laws.met", lang)
    console.print(Text(verdict, style="bold red" if missed else "bold"))
    console.print()
    table = Table(box=_BOX, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for key in _WORDS:
        table.add_column(Text(text(f"laws.{key}", lang)), overflow="fold")
    for key in _NUMBERS:
        table.add_column(Text(text(f"laws.{key}", lang)), justify="right", overflow="fold")
    table.add_column(Text(text("laws.verdict", lang)), overflow="fold")
    for row in rows:
        table.add_row(*_cells(row, lang), _verdict(row, lang))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    console.print()
    console.print(Text(text("laws.symbols", lang)))
    console.print(Text(text("laws.intervals", lang)))
    broken = list(dict.fromkeys(fact for row in rows for fact in row.broken))
    if broken:
        console.print(Text(text("laws.broken", lang, count=counted(len(broken))), style="red"))
        console.print(Text(broken[0]))
    else:
        console.print(Text(text("laws.little", lang)))
    console.print(Text(text("laws.scope", lang)))


def _cells(row: LawRow, lang: str) -> tuple[str, ...]:
    exact = row.half_width is None
    return (
        row.law,
        row.setting,
        label("law_figure", row.figure, lang),
        f"{row.theory:.5g}",
        f"{row.measured:.5g}",
        text("laws.exact", lang) if exact else f"± {row.half_width:.3g}",
        "" if exact else f"{row.covered}/{row.studies} (≥ {row.covered_min})",
    )


def _verdict(row: LawRow, lang: str) -> Text:
    word = text("laws.holds" if row.met else "laws.fails", lang)
    return Text(word, style="" if row.met else "red")
