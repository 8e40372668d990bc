"""The commands that the documents show, run as they stand.

In a fenced block that opens with ```` ```console ````, each line ``$ vpg …`` is a command; the
blocks of one document run in order in one empty folder. A command must end with 0, or with N where
the line ends in ``# exit N``. A block after ``<!-- not run: why -->`` is left alone. What the
block shows below a command, line by line, the command must say, spaces and the time in a run
directory's name apart; ``…`` stands for anything, a whole line of it for lines left out.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)
BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VPG = (sys.executable, "-m", "vpg.cli.main")


@dataclass(frozen=True, slots=True)
class Example:
    """One command of a document and how it must end."""

    words: tuple[str, ...]
    exit_code: int
    shown: tuple[str, ...] = ()
    """What it says, as far as the document shows it."""


def examples(document: str) -> list[Example]:
    """Return the commands that ``document`` (its text) shows to be run, in order."""
    found = []
    for block in BLOCK.finditer(document):
        if block.group(1):
            continue
        for part in re.split(r"^(?=\$ )", block.group(2).replace("\\\n", " "), flags=re.MULTILINE):
            line, _, shown = part.partition("\n")
            if line.startswith("$ vpg"):
                found.append(_example(line.removeprefix("$ "), shown))
    return found


def _example(line: str, shown: str) -> Example:
    command, _, code = line.partition(" # exit ")
    lines = tuple(filter(None, (_plain(one) for one in shown.splitlines())))
    return Example(tuple(shlex.split(command, comments=True)[1:]), int(code or 0), lines)


def _plain(line: str) -> str:
    """Return ``line`` with its spaces evened out and the time of a run directory hidden."""
    return re.sub(r"-\d{8}T\d{6}Z-[0-9a-f]{8}\b", "-<RUN>", " ".join(line.split()))


def says(said: str, line: str) -> bool:
    """Return whether ``said`` has a line that reads as ``line``, ``…`` standing for anything."""
    pattern = re.compile(".*".join(re.escape(part) for part in line.split("…")))
    return any(pattern.fullmatch(_plain(one)) for one in said.splitlines())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_commands_of_a_document_end_as_it_says(name: str, in_tmp: Path) -> None:
    for example in examples((ROOT / name).read_text(encoding="utf-8")):
        done = subprocess.run(
            [*VPG, *example.words],
            cwd=in_tmp,
            env={**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == example.exit_code, (example, done.stderr)
        said = done.stdout + done.stderr
        assert [line for line in example.shown if not says(said, line)] == [], example.words


def test_examples_are_read_from_console_blocks() -> None:
    document = (
        "```console\n$ vpg new a \\\n  --out b.yaml\noutput\n$ vpg run b.yaml # exit 4\n```\n"
        "<!-- not run: takes an hour -->\n```console\n$ vpg run c\n```\n```sh\n$ vpg run d\n```\n"
    )
    assert examples(document) == [
        Example(("new", "a", "--out", "b.yaml"), 0, ("output",)),
        Example(("run", "b.yaml"), 4),
    ]


def test_shown_lines_must_be_said() -> None:
    said = "Total:   2,640 yen\nResults: runs/a-20261122T021938Z-a9f97c22\n"
    assert says(said, "Total: 2,640 yen")
    assert says(said, "Total: … yen")
    assert says(said, "…")
    assert says(said, _plain("Results:  runs/a-20260101T000000Z-00000000"))
    assert not says(said, "Total: 2,641 yen")
    assert not says(said, "Total:")
