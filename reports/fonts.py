"""Fonts of the charts: which families hold a text, and what becomes of other characters.

Owns: finding the Japanese font file and registering it with matplotlib's font list. Does not own:
where text is drawn. Never imports ``matplotlib_fontja``: importing it changes ``rcParams``.
"""
# ruff: noqa: PLC0415 - matplotlib is imported inside functions: the command line starts without it

from __future__ import annotations

import functools
import importlib.util
import unicodedata
from pathlib import Path

LATIN = "DejaVu Sans"
"""Ships with matplotlib, so it is there on every machine."""
JAPANESE = "IPAexGothic"
WIDE = ("Noto Sans CJK JP", "Noto Sans JP")
"""Used where the machine has them, for characters beyond IPAexGothic."""
GETA = "〓"
"""What Japanese typesetting prints for a character that the fount lacks."""
_FONT_PACKAGE = "matplotlib_fontja"
_FONT_FILE = Path("fonts") / "ipaexg.ttf"


@functools.cache
def japanese_font_file() -> Path | None:
    """Return the path of the IPAexGothic file, or None when its package is not installed."""
    spec = importlib.util.find_spec(_FONT_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / _FONT_FILE
    return path if path.is_file() else None


@functools.cache
def families(lang: str) -> tuple[str, ...]:
    """Return the font families for ``lang`` ("ja" or "en"), first choice first.

    Both languages get the Japanese font: an English report may name a Japanese fleet.
    """
    from matplotlib import font_manager

    path = japanese_font_file()
    known = {entry.name for entry in font_manager.fontManager.ttflist}
    if path is not None and JAPANESE not in known:
        font_manager.fontManager.addfont(str(path))
        known.add(JAPANESE)
    first = (JAPANESE, LATIN) if lang == "ja" else (LATIN, JAPANESE)
    return tuple(name for name in (*first, *WIDE) if name in known)


@functools.cache
def drawable(lang: str) -> frozenset[int]:
    """Return the code points that at least one of the families for ``lang`` can draw."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    points: set[int] = set()
    for family in families(lang):
        font = FT2Font(
            font_manager.findfont(font_manager.FontProperties(family=[family])),
        )
        points.update(font.get_charmap())
    return frozenset(points)


def can_draw_japanese() -> bool:
    """Return whether kana and kanji will appear in charts on this machine."""
    return {ord("回"), ord("線"), ord("ド")} <= drawable("ja")


def printable(text: str, lang: str) -> str:
    """Return ``text`` with every character that cannot be drawn replaced by a geta mark (or ``?``).

    Control and format characters (line breaks included) become spaces: a name stays on its line.
    """
    points = drawable(lang)
    missing = GETA if ord(GETA) in points else "?"
    return "".join(
        " " if unicodedata.category(char).startswith("C") or char.isspace()
        else char if ord(char) in points else missing
        for char in text
    )  # fmt: skip
