"""The commands that the documents show, run as they stand.

In a fenced block that opens with ```` ```console ````, each line ``$ vpg …`` is a command; the
blocks of one document run in order in one empty folder. A command must end with 0, or with N where
the line ends in ``# exit N``. A block after ``<!-- not run: why -->`` is left alone.
"""

from __future__ import annotations

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


def examples(document: str) -> list[Example]:
    """Return the commands that ``document`` (its text) shows to be run, in order."""
    return [
        _example(line.removeprefix("$ "))
        for block in BLOCK.finditer(document)
        if not block.group(1)
        for line in block.group(2).replace("\\\n", " ").splitlines()
        if line.startswith("$ vpg")
    ]


def _example(line: str) -> Example:
    command, _, code = line.partition(" # exit ")
    return Example(tuple(shlex.split(command, comments=True)[1:]), int(code or 0))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_commands_of_a_document_end_as_it_says(name: str, in_tmp: Path) -> None:
    for example in examples((ROOT / name).read_text(encoding="utf-8")):
        done = subprocess.run(
            [*VPG, *example.words], cwd=in_tmp, capture_output=True, text=True, check=False
        )
        assert done.returncode == example.exit_code, (example, done.stderr)


def test_examples_are_read_from_console_blocks() -> None:
    document = (
        "```console\n$ vpg new a \\\n  --out b.yaml\noutput\n$ vpg run b.yaml # exit 4\n```\n"
        "<!-- not run: takes an hour -->\n```console\n$ vpg run c\n```\n```sh\n$ vpg run d\n```\n"
    )
    assert examples(document) == [
        Example(("new", "a", "--out", "b.yaml"), 0),
        Example(("run", "b.yaml"), 4),
    ]
