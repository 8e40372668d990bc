"""The nearest allowed word to one that is not allowed, and its place in a text of either language.

Owns: ``Hint`` and the measure of nearness. Does not own: the words around it (``vpg/messages``).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOOKED_AT_MAX = 100


class Hint(str):
    """A suggestion which a text shows in its own words; an empty one shows nothing at all.

    >>> 'Not a size.{hint: Did you mean "@"?}'.format(hint=Hint("large"))
    'Not a size. Did you mean "large"?'
    >>> 'Not a size.{hint: Did you mean "@"?}'.format(hint=Hint())
    'Not a size.'
    """

    __slots__ = ()

    def __format__(self, words: str) -> str:
        """Return ``words`` with the suggestion in place of @."""
        return words.replace("@", str(self)) if self and words else str(self)


def closest(value: object, known: Iterable[object]) -> Hint:
    """Return the one of ``known`` that ``value`` was probably meant to be, or an empty hint.

    >>> closest("larg", ["small", "medium", "large"])
    'large'
    >>> closest("Large", ["small", "medium", "large"])
    'large'
    """
    names = [str(name) for name in known]
    text = str(value)[:_LOOKED_AT_MAX]
    lowered = {name.lower(): name for name in reversed(names)}
    if text.lower() in lowered:
        return Hint(lowered[text.lower()])
    found = difflib.get_close_matches(text, names, n=1, cutoff=0.6)
    return Hint(found[0] if found else "")
