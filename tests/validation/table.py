"""The table of ``docs/validation.md`` from what the command prints.

``vpg validate-engine --long --json | python -m tests.validation.table`` prints its rows.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from reports.texts import label
from vpg.cli.documents import EngineDocument

if TYPE_CHECKING:
    from vpg.laws import LawRow

HEAD = (
    "| law | system | figure | theory | measured | 95 % | covered | arrivals |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def line(row: LawRow) -> str:
    """Return the row as Markdown."""
    exact = row.half_width is None
    cells = (
        row.law,
        row.setting,
        label("law_figure", row.figure, "en"),
        f"{row.theory:.5g}",
        f"{row.measured:.5g}",
        "exact" if exact else f"± {row.half_width:.3g}",
        "" if exact else f"{row.covered} of {row.studies}",
        f"{row.arrivals:,}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Read the document of the command and print the table."""
    document = msgspec.json.decode(sys.stdin.buffer.read(), type=EngineDocument)
    sys.stdout.write("\n".join((*HEAD, *map(line, document.laws), "")))


if __name__ == "__main__":
    main()
