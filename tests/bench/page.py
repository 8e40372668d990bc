"""Write measured figures into ``docs/performance.md``: ``python -m tests.bench.page FILE``.

``FILE`` is what ``python -m tests.bench --json FILE`` wrote. A part that it lacks keeps its table.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.figures import ROOT, Figure, Report

PAGE = ROOT / "docs" / "performance.md"
HEAD = ("| figure | median | runs | target | |", "| --- | --- | --- | --- | --- |")


def cells(figure: Figure) -> str:
    """Return one row of a table."""
    if figure.skipped:
        return f"| {figure.name} | skipped: {figure.skipped} | | | |"
    target = figure.target.replace("<=", "at most").replace(">=", "at least")
    verdict = figure.verdict.replace("MISSED", "**missed**")
    value = f"{figure.shown} {figure.unit}".strip()
    return f"| {figure.name} | {value} | {figure.runs} | {target} | {verdict} |"


def table(report: Report, part: str) -> str:
    """Return one part: on what it was measured, and its figures."""
    begin, end = report.load
    where = f"{report.date}, {report.machine}; load {begin} at the begin, {end} at the end."
    rows = [cells(figure) for figure in report.parts[part]]
    return "\n".join((where, "", *HEAD, *rows))


def filled(page: str, report: Report) -> str:
    """Return ``page`` with the tables of ``report``; raises ValueError where one has no place."""
    for part in report.parts:
        begin, end = f"<!-- bench:{part} -->\n", "<!-- bench:end -->"
        before, found, after = page.partition(begin)
        if not found:
            raise ValueError(f"the page has no place for the part {part}")
        page = f"{before}{begin}{table(report, part)}\n{end}{after.partition(end)[2]}"
    return page


def main(arguments: list[str]) -> None:
    """Fill the page from the file that is named."""
    (file,) = arguments
    report = Report.of_json(json.loads(Path(file).read_text(encoding="utf-8")))
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), report), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
