"""The replications of one scenario in order: which is next, and when they are enough.

Owns: the rule that a sequence ends at the first number where it may, whoever finished when. Does
not own: running them (``pool``) or what a row says. A rule is asked of the rows from 0 on without
a gap, once for each; what ran ahead of the end is no part of the sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from sim.stats import REPLICATIONS_MIN, Moments
from vpg.errors import ensure
from vpg.replications import value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sim.stats import Until
    from vpg.replications import Figured


class Numbered(Protocol):
    """A row that says which replication it is of."""

    @property
    def replication(self) -> int:
        """From 0."""


RowT = TypeVar("RowT", bound=Numbered)


def narrow(until: Until) -> Callable[[Sequence[Figured]], bool]:
    """Return the rule that ends a sequence once the interval of ``until`` is narrow enough."""
    moments = Moments()

    def enough(rows: Sequence[Figured]) -> bool:
        moments.add(value_of(rows[-1], until.figure))
        return until.reached(moments.interval())

    return enough


class Replications(Generic[RowT]):
    """Replications 0 to ``asked`` - 1, or fewer where ``enough`` ends them."""

    def __init__(
        self,
        asked: int,
        enough: Callable[[Sequence[RowT]], bool] | None = None,
        done: Iterable[RowT] = (),
    ) -> None:
        """Begin with the rows that are ``done``, in any order; those beyond ``asked`` are left."""
        self._asked = asked
        self._enough = enough
        self._ahead: dict[int, RowT] = {}
        self._rows: list[RowT] = []
        self._next = 0
        self.is_over = False
        for row in done:
            if row.replication < asked:
                self.add(row)

    def add(self, row: RowT) -> bool:
        """Take a finished row and tell whether it is new; the same again must be equal."""
        known = self._known(row.replication)
        if known is not None:
            ensure(known == row, f"replication {row.replication} is the same whoever computes it")
            return False
        self._ahead[row.replication] = row
        while not self.is_over and len(self._rows) in self._ahead:
            self._rows.append(self._ahead.pop(len(self._rows)))
            self.is_over = len(self._rows) == self._asked or (
                self._enough is not None and self._enough(self._rows)
            )
        return True

    def next(self, *, may_be_vain: bool) -> int | None:
        """Return a number that was not handed out and is not finished; None: there is none.

        Unless it ``may_be_vain``, only one that is sure to be part of the sequence.
        """
        while self._known(self._next) is not None:
            self._next += 1
        if self.is_over or self._next >= self._asked:
            return None
        sure = self._asked if self._enough is None else max(REPLICATIONS_MIN, len(self._rows) + 1)
        if self._next >= sure and not may_be_vain:
            return None
        self._next += 1
        return self._next - 1

    def _known(self, number: int) -> RowT | None:
        return self._rows[number] if number < len(self._rows) else self._ahead.get(number)

    @property
    def count(self) -> int:
        """How many are finished."""
        return len(self._rows) + len(self._ahead)

    @property
    def rows(self) -> tuple[RowT, ...]:
        """What there is by number: the sequence, or while it is not over all that is finished."""
        if self.is_over:
            return tuple(self._rows)
        return (*self._rows, *(self._ahead[number] for number in sorted(self._ahead)))
