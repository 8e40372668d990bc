"""What a check of the engine hands over: one row for each law and figure.

Owns: the values between the check (``sim.engine_check``) and its readers (terminal, document,
page). Does not own: laws, runs or intervals. Floats are right here: these are estimates, rounded to
nine figures so that the same run reads the same wherever it is.
"""

from __future__ import annotations

from typing import Literal

import msgspec

LawFigure = Literal[
    "mean_wait_ms", "refused_percent", "waiting_percent", "refused_count", "open_count"
]
_FIGURES = 9


class LawRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One figure of one system: what theory says, and what the engine measured."""

    law: str
    """Usual name or Kendall's notation."""
    setting: str
    """Its parameters, in the symbols of textbooks."""
    figure: LawFigure
    theory: float
    measured: float
    """Mean over all replications."""
    half_width: float | None
    """Of the 95 % interval around ``measured``; None: it has to be exactly what theory says."""
    replications: int
    """Independent runs, all studies together."""
    studies: int
    """Independent repetitions of the whole experiment, each with an interval of its own."""
    covered: int
    """Studies whose 95 % interval holds ``theory``."""
    covered_min: int
    """Fewer would happen to right intervals less than once in a thousand."""
    arrivals: int
    """Attempts (messages or attaches) that were measured."""
    broken: tuple[str, ...]
    """Runs that broke Little's law or a conservation identity, and how; text for an engineer."""
    met: bool


def rounded(value: float) -> float:
    """Return ``value`` with nine figures.

    >>> rounded(1 / 3)
    0.333333333
    """
    return float(f"{value:.{_FIGURES}g}")
