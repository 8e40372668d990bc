"""The entrances of the compiled plane with their types, in parts that can be compiled at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from numba import types

from sim.plane.compiled import bins, kernel, philox, ticks

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS: Final = ("events", "steady")
_INT: Final[Any] = types.int64
_INTS: Final[Any] = types.Array(_INT, 1, "C")
_WORD: Final[Any] = types.uint64
_WORDS: Final[Any] = types.Array(_WORD, 1, "C")
_BLOCKS: Final[Any] = types.Array(_WORD, 2, "C")
_ENTRANCES: Final[dict[str, tuple[tuple[Callable[..., Any], tuple[Any, ...]], ...]]] = {
    "events": (
        (kernel.advance, (_INTS, _INTS, _INT)),
        (kernel.bookkeep, (_INTS, _INT, _INT)),
    ),
    "steady": (
        (philox.fill, (_WORD, _WORD, _WORD, _WORDS, _WORDS, _WORDS, _BLOCKS)),
        (ticks.stand, (_INTS, _INT)),
        (bins.steady, (_INTS, _INTS, _INT, _INT)),
    ),
}


def compile_part(name: str) -> None:
    """Compile one of ``PARTS`` into the folder of ``sim.warm``, or load what is there."""
    for function, signature in _ENTRANCES[name]:
        dispatcher: Any = function
        dispatcher.compile(signature)
