"""Error numbers: each is used, known, and says the same in ja and en."""

from __future__ import annotations

import re
import string
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from vpg import text

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("vpg", "scenarios", "sim", "loadtests", "reports")
# The first two digits of a number say whose it is.
PARTS = {"10", "11", "12", "13", "14", "15", "16", "17", "18", "19"}
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def used_codes() -> set[str]:
    """Return every number that the shipped code names in a string of its own."""
    return {
        code
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for code in re.findall(r"[\"'](VPG\d{4})[\"']", path.read_text(encoding="utf-8"))
    }


def placeholders(words: str) -> set[str]:
    """Return the names in braces of ``words``."""
    return {name for _, name, _, _ in string.Formatter().parse(words) if name is not None}


def test_every_number_that_the_code_raises_has_its_text() -> None:
    assert used_codes() - set(text.codes()) == set()


def test_every_text_is_of_a_number_that_the_code_raises() -> None:
    assert set(text.codes()) - used_codes() == set()


@pytest.mark.parametrize("code", text.codes())
def test_both_languages_say_the_same(code: str) -> None:
    english, japanese = (text.template(code, lang) for lang in ("en", "ja"))
    assert re.fullmatch(r"VPG\d{4}", code)
    assert code[3:5] in PARTS
    assert placeholders(english) == placeholders(japanese)
    assert JAPANESE.search(japanese)
    assert not JAPANESE.search(english)


def _tables() -> list[Path]:
    return sorted((ROOT / "vpg" / "messages").glob("*.toml"))


@pytest.mark.parametrize("table", _tables(), ids=lambda path: path.stem)
def test_a_table_holds_two_texts_per_number(table: Path) -> None:
    texts = tomllib.loads(table.read_text(encoding="utf-8"))
    assert {frozenset(languages) for languages in texts.values()} == {frozenset(text.LANGS)}
