"""Breaks sentences into lines as Japanese and English readers expect.

Owns: where a line may end. Does not own: the words or the page. A line never begins with a closing
bracket or a full stop, never ends with an opening bracket, and a number stays with its counter.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len

_NOT_FIRST = frozenset("）」』】］、。，．・：；？！々ー％)],.;:!?%")
_NOT_LAST = frozenset("（「『【［([")


def wrap(words: str, width: int) -> str:
    """Return ``words`` with line feeds, no line wider than ``width`` cells; longer words are cut.

    >>> wrap("合計 1,000 件（税抜）", 16).splitlines()
    ['合計 1,000 件', '（税抜）']
    """
    lines, line = [], ""
    for chunk in _chunks(words):
        if cell_len((line + chunk).rstrip()) <= width:
            line += chunk
            continue
        if line.strip():
            lines.append(line.rstrip())
        line = chunk
        while cell_len(line.rstrip()) > width:
            cut = _fitting(line, width)
            lines.append(line[:cut])
            line = line[cut:]
    return "\n".join([*lines, line.rstrip()])


def _chunks(words: str) -> list[str]:
    """Return ``words`` in pieces that stay whole, each with the space behind it."""
    chunks, begin = [], 0
    for at in range(1, len(words)):
        if _may_break(words, at):
            chunks.append(words[begin:at])
            begin = at
    return [*chunks, words[begin:]]


def _may_break(words: str, at: int) -> bool:
    """Return whether a line may end before ``words[at]``."""
    before, after = words[at - 1], words[at]
    if after == " " or after in _NOT_FIRST or before in _NOT_LAST:
        return False
    if before == " ":
        return not (_wide(after) and at > 1 and words[at - 2].isdecimal())
    if not (_wide(before) or _wide(after)):
        return False
    if before in _NOT_FIRST or after in _NOT_LAST:
        return True
    counter = _wide(after) and (before.isdecimal() or before == "/")
    return not counter and _script(after) not in {_script(before), "hiragana"}


def _wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def _script(char: str) -> str:
    """Return what a character is written in: a word mostly ends where this changes."""
    if not _wide(char):
        return "latin"
    if "ぁ" <= char <= "ん":
        return "hiragana"
    return "katakana" if "ァ" <= char <= "ー" else "kanji"


def _fitting(line: str, width: int) -> int:
    """Return how many characters of ``line`` fit into ``width`` cells; at least one."""
    for count in range(len(line), 1, -1):
        if cell_len(line[:count]) <= width:
            return count
    return 1
