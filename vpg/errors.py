"""Errors that a person reads, and the exit codes.

::

    VpgError
    ├── InputError        what was given is wrong: every problem at once          → exit 3
    ├── UsageError        the command line is wrong                               → exit 2
    └── EnsureError       a promise of our own code is broken (never caught)      → exit 1

A ``Problem`` says where, what came, what is allowed and what to do. Its texts (ja, en) live in
``vpg/messages/*.toml`` by number, so a number has one meaning for ever.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any


class ExitCode(enum.IntEnum):
    """What a command's exit status means; one meaning each."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    INVALID_INPUT = 3
    ANSWER_IS_NO = 4
    CANNOT_TELL = 5
    PARTIAL = 6
    SIGINT = 130
    SIGTERM = 143


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a file; line and column count from 1, 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return ``file:line:column`` as editors and CI expect it."""
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    ``code`` is ``VPGnnnn``; ``path`` the key in the document, e.g. ``vpgs[1].size``; ``values``
    fill the text's placeholders.
    """

    code: str
    place: Place | None = None
    path: str = ""
    values: dict[str, Any] = field(default_factory=dict)


class VpgError(Exception):
    """Root of every error this product raises on purpose."""


class InputError(VpgError):
    """Input that cannot be used; carries every problem found, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        """Keep ``problems`` (at least one)."""
        self.problems = problems
        super().__init__(
            "; ".join(f"{p.place or ''} {p.code} {p.path} {p.values}" for p in problems)
        )


class UsageError(VpgError):
    """A command line that cannot be meant; carries one problem."""

    def __init__(self, problem: Problem) -> None:
        """Keep ``problem``."""
        self.problem = problem
        super().__init__(f"{problem.code} {problem.values}")


class EnsureError(VpgError):
    """An invariant of our own code does not hold: a bug, reported as such."""


def ensure(condition: bool, fact: str) -> None:  # noqa: FBT001 - reads like assert
    """Raise ``EnsureError`` unless ``condition``; stays on under ``python -O``."""
    if not condition:
        raise EnsureError(fact)
