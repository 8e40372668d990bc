"""Sentences are broken where readers of Japanese and English expect it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from reports.texts import table
from reports.wrap import wrap

NOT_FIRST = "）」、。．：%)],.;"
NOT_LAST = "（「(["
SENTENCES = sorted({words for texts in table().values() for words in texts.values()})


@pytest.mark.parametrize("width", range(16, 121, 8))
def test_no_line_is_too_wide_or_begins_with_a_closing_bracket(width: int) -> None:
    for words in SENTENCES:
        lines = wrap(words, width).splitlines()
        assert all(cell_len(line) <= width for line in lines)
        assert "".join(lines).replace(" ", "") == words.replace("\n", "").replace(" ", "")
        if width >= 40:  # room for the longest piece that stays whole
            assert not any(line.startswith(tuple(NOT_FIRST)) for line in lines[1:])
            assert not any(line.endswith(tuple(NOT_LAST)) for line in lines)


@given(st.text(st.characters(exclude_categories=("C", "Z")), max_size=60), st.integers(2, 30))
def test_anything_fits(words: str, width: int) -> None:
    lines = wrap(words, width).split("\n")
    assert "".join(lines) == words
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize(
    ("words", "width", "lines"),
    [
        ("a bc def", 4, ["a bc", "def"]),
        ("上限超過 1,000 件", 13, ["上限超過", "1,000 件"]),
        ("分散させる。（試算、未検証）", 26, ["分散させる。（試算、", "未検証）"]),
        ("セッション確立レート", 12, ["セッション", "確立レート"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("", 10, [""]),
    ],
)
def test_where_a_line_ends(words: str, width: int, lines: list[str]) -> None:
    assert wrap(words, width).split("\n") == lines
