"""Finds the line and column of a key in TOML text, which ``tomllib`` does not tell.

Owns: places for error messages. Does not own: parsing; the text has been read by ``tomllib``
already, so only the shapes a table file uses are followed: top-level keys and keys under
``[[section]]`` headers.
"""

from __future__ import annotations

import re

from vpg.errors import Place

_HEADER = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_\-\"'. ]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*(?P<key>[A-Za-z0-9_\-]+|\"[^\"\n]*\"|'[^'\n]*')\s*=\s*")
_FENCES = ('"""', "'''")
_POSITION = re.compile(r"at line (\d+), column (\d+)")

Spot = tuple[int, int]


class TomlPlaces:
    """Where each key and value of one TOML text stands."""

    def __init__(self, *, text: str, file: str) -> None:
        """Scan ``text`` once; ``file`` is the name shown to people."""
        self._file = file
        self._keys: dict[tuple[str, int, str], Spot] = {}
        self._values: dict[tuple[str, int, str], Spot] = {}
        self._headers: dict[tuple[str, int], Spot] = {}
        self._scan(text)

    def _scan(self, text: str) -> None:
        section, index = "", 0
        counts: dict[str, int] = {}
        fence = ""
        for number, line in enumerate(text.split("\n"), start=1):
            if fence:
                fence = "" if fence in line else fence
                continue
            header = _HEADER.match(line)
            if header:
                section = header[1].strip("\"' ")
                index = counts.get(section, 0)
                counts[section] = index + 1
                column = len(line) - len(line.lstrip()) + 1
                self._headers[section, index] = (number, column)
                continue
            key = _KEY.match(line)
            if key:
                name = (section, index, key["key"].strip("\"'"))
                self._keys.setdefault(name, (number, key.start("key") + 1))
                self._values.setdefault(name, (number, key.end() + 1))
                rest = line[key.end() :]
                fence = next((f for f in _FENCES if rest.startswith(f) and rest.count(f) == 1), "")

    def file(self) -> Place:
        """Return the file as a whole."""
        return Place(file=self._file)

    def key(self, section: str, index: int, key: str) -> Place:
        """Return where ``key`` of the ``index``-th ``[[section]]`` stands, else its header."""
        spot = self._keys.get((section, index, key))
        if spot is None and not section:
            spot = self._headers.get((key, 0))
        return self._at(spot, section, index)

    def value(self, section: str, index: int, key: str) -> Place:
        """Return where the value of ``key`` begins."""
        return self._at(self._values.get((section, index, key)), section, index)

    def header(self, section: str, index: int) -> Place:
        """Return where the ``index``-th ``[[section]]`` begins."""
        return self._at(None, section, index)

    def _at(self, spot: Spot | None, section: str, index: int) -> Place:
        spot = spot or self._headers.get((section, index))
        if spot is None:
            return self.file()
        return Place(file=self._file, line=spot[0], column=spot[1])


def syntax_place(error: str, text: str, file: str) -> Place:
    """Return the place that a ``TOMLDecodeError`` names; Python 3.11 has it only in the text."""
    found = _POSITION.search(error)
    if found:
        return Place(file=file, line=int(found[1]), column=int(found[2]))
    lines = text.split("\n")
    return Place(file=file, line=len(lines), column=len(lines[-1]) + 1)
