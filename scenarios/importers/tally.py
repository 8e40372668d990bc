"""Counts of an import and the rows it could not use.

Owns: the rule that nothing is dropped silently (rows read = used + bad + outside + blank) and
the bound on how many problems of one kind are told one by one. Does not own: what makes a row bad.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from vpg.errors import InputError, Place, Problem, ensure


class BadField(Exception):  # noqa: N818 - a finding about a field, never shown as an error
    """One field of a row that cannot be used: number of the text and its values."""

    def __init__(self, code: str, column: int, path: str, **values: object) -> None:
        """Keep what ``Problem`` needs; ``column`` is the field's index from 0."""
        self.code = code
        self.column = column
        self.path = path
        self.values = values
        super().__init__(code)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one import has seen so far in ``file``."""

    file: str
    problems_max: int
    counts: Counter[str] = field(default_factory=Counter)
    told: list[Problem] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    """Problems by number, told or not."""

    def tell(
        self, code: str, line: int = 0, column: int = 1, path: str = "", **values: object
    ) -> None:
        """Add a problem; from the ``problems_max``-th of its number on it is only counted."""
        self.seen[code] += 1
        if self.seen[code] <= self.problems_max:
            place = Place(file=self.file, line=line, column=column)
            self.told.append(Problem(code=code, place=place, path=path, values=values))

    def bad(self, code: str, line: int, column: int = 1, path: str = "", **values: object) -> None:
        """Count one bad row and tell it."""
        self.counts["rows_bad"] += 1
        self.tell(code, line, column, path, **values)

    def problems(self) -> list[Problem]:
        """Return what is told, in file order, then how many more there are of each number."""
        told = sorted(self.told, key=lambda p: p.place.line or 2**62 if p.place else 2**62)
        rest = [
            Problem(
                code="VPG1314",
                place=Place(file=self.file),
                values={"number": code, "more": count - self.problems_max, "count": count},
            )
            for code, count in sorted(self.seen.items())
            if count > self.problems_max
        ]
        return told + rest

    def close(self, *, strict: bool, usable: bool) -> dict[str, int]:
        """Return the checked counts; raise ``InputError`` if none is usable or by ``strict``."""
        parts = ("rows_used", "rows_bad", "rows_outside", "rows_blank")
        ensure(
            self.counts["rows_read"] == sum(self.counts[part] for part in parts),
            f"every row of the import is counted once: {dict(self.counts)}",
        )
        if not usable:
            values = {part: self.counts[part] for part in ("rows_read", "rows_bad", "rows_outside")}
            none = Problem(code="VPG1313", place=Place(file=self.file), values=values)
            raise InputError([*self.problems(), none])
        if strict and self.counts["rows_bad"]:
            values = {"rows_bad": self.counts["rows_bad"]}
            raise InputError(
                [
                    *self.problems(),
                    Problem(code="VPG1316", place=Place(file=self.file), values=values),
                ]
            )
        for part in ("rows_read", *parts):
            self.counts.setdefault(part, 0)
        return dict(sorted(self.counts.items()))
