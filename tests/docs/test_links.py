"""Every relative link of a document leads to a file, and to a heading where it names one."""

from __future__ import annotations

import re
import subprocess
import unicodedata
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def documents() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(name for name in listed.stdout.split("\0") if (ROOT / name).is_file())


def anchors(text: str) -> set[str]:
    """Return what a link behind ``#`` can name: headings as the usual hosts spell them, and ids."""
    found = set(re.findall(r'<a id="([^"]+)"', text))
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE):
        kept = [
            letter
            for letter in heading.strip().lower()
            if letter in "-_ " or unicodedata.category(letter)[0] in "LNM"
        ]
        found.add("".join(kept).replace(" ", "-"))
    return found


def broken(document: Path) -> list[str]:
    """Return the links of ``document`` that lead nowhere."""
    found = []
    for link in LINK.findall(FENCED.sub("", document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        known = anchors(target.read_text(encoding="utf-8")) if anchor and target.is_file() else ()
        if not target.exists() or (anchor and anchor not in known):
            found.append(link)
    return found


@pytest.mark.parametrize("name", documents())
def test_every_relative_link_leads_somewhere(name: str) -> None:
    assert broken(ROOT / name) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# What `it` is, 概要\n[a](page.md) [b](#what-it-is-概要) [c](https://example.org/x)\n"
        "[d](gone.md) [e](#gone) [f](page.md#gone)\n```\n[g](shown-only.md)\n```\n",
        encoding="utf-8",
    )
    assert broken(page) == ["gone.md", "#gone", "page.md#gone"]
