"""Every bad scenario file says what is wrong, where, and what to do, in both languages.

The table is ``bad_scenarios/*.yaml``; beside each file is what a person sees. To change it:
``UPDATE_GOLDEN=1 python -m pytest tests/golden/test_bad_scenarios.py``, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scenarios.loader import load_scenario
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError, Problem
from vpg.text import render

if TYPE_CHECKING:
    from vpg.catalogue.model import Catalogue

CASES = sorted((Path(__file__).parent / "bad_scenarios").glob("*.yaml"))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def said(problems: list[Problem], folder: Path) -> str:
    """Return what a person sees, English then Japanese, without this machine's folder."""
    lines = [render(problem, lang) for lang in ("en", "ja") for problem in problems]
    return "".join(f"{line}\n" for line in lines).replace(f"{folder}{os.sep}", "")


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 120


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_bad_file_is_explained(path: Path, catalogue: Catalogue) -> None:
    with pytest.raises(InputError) as caught:
        load_scenario(path, catalogue=catalogue)
    words = said(caught.value.problems, path.parent)
    golden = path.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN") == "1":
        golden.write_text(words, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == words
    for problem in caught.value.problems:
        assert problem.place is not None
        assert problem.place.line or problem.code in {"VPG1230", "VPG1246"}
