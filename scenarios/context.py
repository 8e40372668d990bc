"""What building a scenario from its file shares: places, problems, the run's bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scenarios.places import path_text, shorten
from scenarios.times import TimeTextError, read_instant, read_moment
from vpg.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.places import Node
    from scenarios.places import Path as NodePath
    from vpg.catalogue.model import Catalogue


@dataclass(slots=True, kw_only=True)
class Context:
    """State of one load; ``start_us`` is None while the file's start is unreadable."""

    node: Node
    catalogue: Catalogue
    folder: Path | None
    """Where files named by the scenario lie; None: there are none."""
    start_us: int | None = None
    end_us: int | None = None
    problems: list[Problem] = field(default_factory=list)

    def problem(self, code: str, path: NodePath, **values: object) -> None:
        """Note one problem at ``path``."""
        self.problems.append(
            Problem(
                code=code, place=self.node.place_of(path), path=path_text(path), values=dict(values)
            )
        )

    def instant(self, text: str, path: NodePath) -> int | None:
        """Return the ``SimUs`` of a time with zone, or note what is wrong with it."""
        try:
            return read_instant(text)
        except TimeTextError as error:
            self.problem(error.code, path, value=shorten(text), hint=error.hint)
            return None

    def moment(self, text: str, path: NodePath) -> int | None:
        """Return the ``SimUs`` of a time or offset; None when unreadable or without a start."""
        try:
            at_us = read_moment(text, self.start_us or 0)
        except TimeTextError as error:
            self.problem(error.code, path, value=shorten(text), hint=error.hint)
            return None
        relative = text.strip().startswith("+")
        return None if relative and self.start_us is None else at_us

    def within_run(self, at_us: int | None, text: str, path: NodePath) -> bool:
        """Return whether ``at_us`` lies in [start, end); note it when not."""
        if at_us is None or self.start_us is None or self.end_us is None:
            return at_us is not None
        if self.start_us <= at_us < self.end_us:
            return True
        self.problem("VPG1255", path, value=shorten(text), **self.run_texts())
        return False

    def run_texts(self) -> dict[str, str]:
        """Return start and end of the run as people read them."""
        from vpg.timebase import iso_jst  # noqa: PLC0415 - only for a message

        return {"start": iso_jst(self.start_us or 0), "end": iso_jst(self.end_us or 0)}
