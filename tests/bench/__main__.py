"""Every figure of speed, measured in one go: ``python -m tests.bench`` (or ``make bench``).

Each figure is the median of several runs in processes of their own; what is compared alternates (A,
B, A, B), so that a slow minute of the machine hits both. Each measurement asserts the work it did.
Exit 4 when a target is missed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import figures
from tests.bench.command import command
from tests.bench.engine import against, calm, many, sync
from tests.bench.figures import Figure, Options, Report
from tests.bench.gate import honesty
from tests.bench.growth import growth
from tests.bench.mqtt import mqtt
from tests.bench.planes import reference
from tests.bench.rating import rating
from tests.bench.service import service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TARGET_MISSED = 4
PARTS: dict[str, Callable[[Options], Iterator[Figure]]] = {
    "command": command,
    "calm": calm,
    "sync": sync,
    "against": against,
    "many": many,
    "growth": growth,
    "reference": reference,
    "rating": rating,
    "service": service,
    "mqtt": mqtt,
    "gate": honesty,
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each workload (default 3)")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME",
        help=f"measure these parts: {', '.join(PARTS)}",
    )  # fmt: skip
    parser.add_argument(
        "--short", action="store_true", help="small workloads, once, no targets: does it work?"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--chart", type=Path, metavar="FILE", help="write the chart of growth (SVG) there"
    )
    return parser.parse_args()


def write(file: Path, begin: float, found: dict[str, list[Figure]]) -> None:
    """Write what was found so far; ``begin`` is the load before it."""
    report = Report(
        machine=figures.machine(),
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        load=(begin, figures.load()),
        parts=found,
    )
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def main() -> int:
    """Measure, print the table, and return the exit code."""
    asked = arguments()
    options = Options(runs=1 if asked.short else asked.runs, short=asked.short, chart=asked.chart)
    begin = figures.load()
    print(f"{figures.machine()}, load {begin}")
    found: dict[str, list[Figure]] = {}
    for name in asked.only:
        print(f"\n{name}\n{figures.HEADER}", flush=True)
        found[name] = []
        for figure in PARTS[name](options):
            found[name].append(figure)
            print(figure.line(), flush=True)
        # After each part: a later one that fails must not cost an hour's figures.
        if asked.json is not None:
            write(asked.json, begin, found)
    print(f"\nload {figures.load()}")
    missed = any(one.verdict == "MISSED" for part in found.values() for one in part)
    return TARGET_MISSED if missed else 0


if __name__ == "__main__":
    sys.exit(main())
