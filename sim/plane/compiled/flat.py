"""A head and tables in one flat array, for compiled code, and as arrays that look into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.plane.compiled.jit import Ints


class Flat:
    """Memory: a head of fixed size, and tables (two dimensions) in a fixed order behind it."""

    def __init__(self, head: Ints, tables: Mapping[str, Ints], places: Mapping[str, int]) -> None:
        """Lay it out; ``places``: for each table, in order, where the head says its first place."""
        self._places = places
        self._tables: dict[str, Ints] = {}
        self._lay(head, tables)

    def _lay(self, head: Ints, tables: Mapping[str, Ints]) -> None:
        flat = np.empty(len(head) + sum(table.size for table in tables.values()), np.int64)
        flat[: len(head)] = head
        begin = len(head)
        views = {}
        for name, where in self._places.items():
            table = tables[name]
            flat[where] = begin
            view = flat[begin : begin + table.size].reshape(table.shape)
            view[:] = table
            views[name] = view
            begin += table.size
        self._tables = views
        self.flat = flat
        self.head = flat[: len(head)]

    def __getitem__(self, name: str) -> Ints:
        """Return a table as an array; writing to it writes to the memory."""
        return self._tables[name]

    def replace(self, **tables: Ints) -> None:
        """Put other tables, of another length perhaps, in the place of those named."""
        self._lay(self.head, {**self._tables, **tables})

    def lengthen(self, name: str, more: int) -> None:
        """Put so many rows of zeros behind a table."""
        table = self[name]
        self.replace(**{name: np.concatenate([table, np.zeros((more, table.shape[1]), np.int64)])})

    def copy(self) -> Flat:
        """Return the same in a memory of its own."""
        return Flat(self.head, self._tables, self._places)
