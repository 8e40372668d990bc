"""The generated pages on disk are what the code would write now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docs import build
from tests.support import ROOT
from vpg import text
from vpg.rating import hourly

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("docs/assumptions.md", "docs/errors.md", "docs/hourly.md", "scenarios/schema.json")


def test_these_pages_are_generated() -> None:
    assert {str(path.relative_to(ROOT)) for path in build.pages()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == build.pages()[ROOT / name], "make docs"


def test_every_column_and_number_has_its_row() -> None:
    pages = {path.name: words for path, words in build.pages().items()}
    for column in hourly.COLUMNS:
        assert f"\n| `{column.name}` | " in pages["hourly.md"]
    for code in text.codes():
        assert f"</a>{code} | " in pages["errors.md"]


def test_a_stale_page_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale, fresh = tmp_path / "stale.md", tmp_path / "fresh.md"
    stale.write_text("old", encoding="utf-8")
    fresh.write_text("new", encoding="utf-8")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "pages", lambda: {stale: "new", fresh: "new"})
    build.main()
    assert capsys.readouterr().out == "written: stale.md\n"
    assert stale.read_text(encoding="utf-8") == "new"
