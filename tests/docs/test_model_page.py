"""The worked integers of the documents: each ``pycon`` block runs and says what it shows."""

from __future__ import annotations

import doctest
import re

import pytest

from tests.support import ROOT

BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(
    page.name for page in (ROOT / "docs").glob("*.md") if BLOCK.search(page.read_text("utf-8"))
)


def test_the_model_page_has_worked_integers() -> None:
    assert "model.md" in PAGES


@pytest.mark.parametrize("name", PAGES)
def test_what_is_worked_out_is_what_the_code_says(name: str) -> None:
    # The blocks of a page are one session: an import of the first serves the others.
    text = "\n".join(BLOCK.findall((ROOT / "docs" / name).read_text("utf-8")))
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    told: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert result.attempted > 1
    assert result.failed == 0, "".join(told)
