"""Texts of errors in ja and en, by number; owns the tables in ``vpg/messages``."""

from __future__ import annotations

import functools
import string
import tomllib
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vpg.errors import Problem

LANGS = ("en", "ja")


@functools.cache
def _texts() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}
    for entry in sorted(resources.files("vpg.messages").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            for code, texts in tomllib.loads(entry.read_text(encoding="utf-8")).items():
                if code in table:
                    msg = f"{code} is defined twice"
                    raise ValueError(msg)
                table[code] = texts
    return table


def template(code: str, lang: str) -> str:
    """Return the text numbered ``code`` in ``lang`` ("ja" or "en"), placeholders in braces."""
    return _texts()[code][lang]


def explained(code: str, lang: str) -> str:
    """Return the text for readers without a case at hand: ``‹value›`` where a value comes.

    Suggestions (``{hint:…}``) are left out. Raises ``KeyError`` for an unknown number.

    >>> explained("VPG1202", "en")
    'the key "‹key›" is missing; add it.'
    """
    words = []
    for literal, name, _, _ in string.Formatter().parse(template(code, lang)):
        words.append(literal)
        if name and name != "hint":
            words.append(f"‹{name}›")
    return "".join(words)


def message(code: str, lang: str, **values: object) -> str:
    """Return the text numbered ``code`` in ``lang`` ("ja" or "en") with ``values`` filled in."""
    return template(code, lang).format(**values)


def render(problem: Problem, lang: str) -> str:
    """Return ``file:line:column VPGnnnn path: text`` for one problem."""
    head = " ".join(
        part for part in (str(problem.place) if problem.place else "", problem.code) if part
    )
    path = f" {problem.path}:" if problem.path else ""
    return f"{head}{path} {message(problem.code, lang, **problem.values)}"


def codes() -> tuple[str, ...]:
    """Return every known number, in order (for docs and tests)."""
    return tuple(sorted(_texts()))
