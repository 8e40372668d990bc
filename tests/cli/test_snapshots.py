"""What a person sees, whole pages in both languages, against golden files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support_cli import masked, matches_golden, vpg

if TYPE_CHECKING:
    from pathlib import Path

HELP = (
    (),
    ("run",),
    ("sweep",),
    ("validate",),
    ("validate-engine",),
    ("new",),
    ("import",),
    ("import", "lines"),
    ("import", "demand"),
    ("catalogue",),
    ("show",),
    ("bill",),
    ("bill", "check"),
    ("serve",),
    ("fleet",),
    ("twin",),
    ("schema",),
    ("errors",),
)
PAGES = {
    "run": ("run", "smallest", "--no-charts"),
    "run-missed": (
        *("run", "smallest", "--no-charts"),
        *("--set", "objectives=[{lines_peak_max: 3}]", "--set", "fleets[0].lines=20"),
    ),
    "validate": ("validate", "smallest"),
    "validate-warns": ("validate", "smallest", "--set", "vpgs=[{id: gate, type: G}]"),
    "new": ("new", "smallest", "--out", "mine.yaml"),
    "catalogue-empty": ("catalogue", "--at", "2010-01-01"),
    "error": ("errors", "VPG1203"),
    "catalogue": ("catalogue", "--type", "G", "--at", "2026-04-01"),
    "mistakes": (
        *("run", "smallest", "--set", "vpgs[0].size=larg", "--set", "fleets[0].lines=-1"),
        *("--set", "nonsense=1"),
    ),
}


@pytest.fixture(autouse=True)
def _page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize("words", HELP, ids=lambda words: "-".join(words) or "vpg")
def test_help_begins_with_examples(words: tuple[str, ...], in_tmp: Path) -> None:
    answer = vpg(*words, "--help")
    name = "-".join(("help", *words))
    assert (answer.code, answer.err) == (0, "")
    assert matches_golden(f"{name}.txt", masked(answer.out, in_tmp))
    if words != ("import",):
        assert answer.out.index("Examples:") < answer.out.index("Options:")


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("words", [(), ("import",), ("run",), ("import", "beam")])
def test_help_answers_in_the_language_asked_for_wherever_it_stands(
    words: tuple[str, ...], lang: str, in_tmp: Path
) -> None:
    chosen = ("--lang", lang)
    lines = {(*chosen, *words, "--help"), (*words, "--help", *chosen), (*words, *chosen, "--help")}
    answers = {vpg(*line) for line in (*lines, (*words, f"--lang={lang}", "-h"))}
    [answer] = answers
    assert (answer.code, answer.err) == (0, "")
    name = "-".join(("help", *words))
    if words != ("import", "beam"):
        golden = f"{name}.ja.txt" if lang == "ja" else f"{name}.txt"
        assert matches_golden(golden, masked(answer.out, in_tmp))
    if lang == "ja":
        assert re.search("[ぁ-ん]", answer.out)


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_as_agreed(name: str, lang: str, in_tmp: Path) -> None:
    answer = vpg(*PAGES[name], "--lang", lang)
    page = f"exit {answer.code}\n--- stdout\n{answer.out}--- stderr\n{answer.err}"
    assert matches_golden(f"{name}.{lang}.txt", masked(page, in_tmp))


def test_the_language_comes_from_option_then_variable_then_locale(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert "用意済み" in vpg("new").out
    monkeypatch.setenv("VPG_LANG", "en")
    assert "Ready-made" in vpg("new").out
    assert "用意済み" in vpg("new", "--lang=ja").out
    assert list(in_tmp.iterdir()) == []
