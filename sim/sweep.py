"""Sweeps: a scenario's keys over ranges and lists, every combination of them a run of its own.

Owns: the reading of ``KEY=SPEC``, the grid, and the check of every point before the first run. Does
not own: which keys exist (``scenarios``), what a point comes to (``sim.points``) or where results
are kept (``vpg.sweepwork``). Times: ``SimUs``.

A SPEC is a list with commas. Each item is a YAML scalar (quotes keep a comma) or an inclusive range
``FIRST..LAST:STEP`` of whole or decimal numbers; a range of whole numbers may leave out ``:1``.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from scenarios.doubts import warnings
from scenarios.loader import data_files, load_scenario
from scenarios.overrides import apply_overrides, steps_of, target
from scenarios.places import Composer, shorten
from scenarios.reading import SCENARIO_BYTES_MAX, decode, read_bytes
from vpg.errors import InputError, Place, Problem, UsageError
from vpg.sweeps import Axis, point_count, points
from vpg.text import message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue

POINTS_MAX = 10_000
RUNS_MAX = 1_000_000
"""Most replications of all points together: each is kept apart until the table is written."""
PROBLEMS_MAX = 20
"""Problems told at once; a sweep can have one a point."""
OPTION = "--over"
EXAMPLE = "fleets.meters.lines=1000..10000:1000 or vpgs[0].size=small,medium"
_NUMBER = r"[+-]?\d{1,18}(?:\.\d{1,18})?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::({_NUMBER}))?")
_LIKE_RANGE = re.compile(r"[^/]*\.\.[^/]*")
_ITEM = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,"'\[{][^,]*)\s*""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What to sweep: a scenario's file, what changes it in every point, and the axes."""

    scenario: Path
    variant: str | None
    sets: tuple[str, ...]
    axes: tuple[Axis, ...]

    def sets_of(self, values: Sequence[str]) -> tuple[str, ...]:
        """Return the ``path=value`` texts of the point with ``values``; the axes come last."""
        own = (f"{axis.key}={value}" for axis, value in zip(self.axes, values, strict=True))
        return (*self.sets, *own)

    def load(self, catalogue: Catalogue, values: Sequence[str]) -> Scenario:
        """Return the scenario of one point; raises ``InputError`` that names ``--over``."""
        try:
            return load_scenario(
                self.scenario,
                catalogue=catalogue,
                variant=self.variant,
                sets=self.sets_of(values),
            )
        except InputError as error:
            raise InputError([self._renamed(problem) for problem in error.problems]) from error

    def _renamed(self, problem: Problem) -> Problem:
        """Return ``problem`` with the option that the person wrote."""
        said = "" if problem.place is None else problem.place.file
        for axis in self.axes:
            for value in axis.values:
                if said == f"--set {shorten(f'{axis.key}={value}')}":
                    place = Place(file=said.replace("--set", OPTION, 1))
                    return Problem(
                        code=problem.code, place=place, path=problem.path, values=problem.values
                    )
        return problem


# ---- reading the options -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One item of a SPEC: ``count`` values from ``first`` on; a scalar is kept as ``text``."""

    text: str
    count: int = 1
    first: Decimal = Decimal(0)
    step: Decimal = Decimal(0)
    places: int = 0

    def values(self) -> list[str]:
        """Return the values, numbers with as many decimals as the finest of the range."""
        if not self.step:
            return [self.text]
        return [f"{self.first + k * self.step:.{self.places}f}" for k in range(self.count)]


def read_axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Return the axes that the ``--over`` texts say; raises ``UsageError`` for one that cannot be.

    >>> [axis.values for axis in read_axes(["a.b=1..7:3", "c=small,'x,y'", "d=0.5..1.5:0.5"])]
    [('1', '4', '7'), ('small', "'x,y'"), ('0.5', '1.0', '1.5')]
    """
    read = [_read(text) for text in texts]
    counts = [sum(part.count for part in parts) for _, parts in read]
    whole = math.prod(counts)
    if whole > POINTS_MAX:
        text = texts[counts.index(max(counts))]
        values = {"text": shorten(text), "count": f"{whole:,}", "most": f"{POINTS_MAX:,}"}
        raise UsageError(Problem(code="VPG1042", values=values))
    axes = []
    for text, (key, parts) in zip(texts, read, strict=True):
        found = [value for part in parts for value in part.values()]
        value, times = Counter(found).most_common(1)[0]
        if times > 1:
            values = {"text": shorten(text), "value": shorten(value)}
            raise UsageError(Problem(code="VPG1043", values=values))
        axes.append(Axis(key=key, values=tuple(found)))
    return tuple(axes)


def check_runs(axes: Sequence[Axis], replications: int) -> None:
    """Refuse ``replications`` (at most) of every point where that is endless work.

    Raises ``UsageError`` (VPG1045).
    """
    count = point_count(axes) * replications
    if count > RUNS_MAX:
        values = {"points": f"{point_count(axes):,}", "replications": f"{replications:,}"}
        values |= {"count": f"{count:,}", "most": f"{RUNS_MAX:,}"}
        raise UsageError(Problem(code="VPG1045", values=values))


def _read(text: str) -> tuple[str, list[_Part]]:
    key, equals, spec = text.partition("=")
    if not equals or not steps_of(key.strip()):
        raise _unreadable(text)
    return key.strip(), [_part(text, item) for item in _items(text, spec)]


def _items(text: str, spec: str) -> Iterator[str]:
    at = 0
    while True:
        found = _ITEM.match(spec, at)
        if found is None or spec[found.end() : found.end() + 1] not in ("", ","):
            raise _unreadable(text)
        yield found[1].strip()
        if found.end() == len(spec):
            return
        at = found.end() + 1


def _part(text: str, item: str) -> _Part:
    found = _RANGE.fullmatch(item)
    if found is None:
        if _LIKE_RANGE.fullmatch(item):
            raise _unreadable(text)
        return _Part(text=item)
    numbers = [part for part in found.groups() if part is not None]
    places = max(len(number.partition(".")[2]) for number in numbers)
    first, last, *given = (Decimal(number) for number in numbers)
    if not given and places:
        raise _unreadable(text)
    step = given[0] if given else Decimal(1)
    count = int((last - first) / step) + 1 if step and (last - first) / step >= 0 else 0
    if not count:
        values = {"text": shorten(text), "range": shorten(item)}
        raise UsageError(Problem(code="VPG1041", values=values))
    return _Part(text=item, count=count, first=first, step=step, places=places)


def _unreadable(text: str) -> UsageError:
    values = {"option": OPTION, "value": shorten(text), "example": EXAMPLE}
    return UsageError(Problem(code="VPG1030", values=values))


# ---- before the first run ------------------------------------------------------------------------


def check_keys(sweep: Sweep) -> None:
    """Refuse two options that say the same key in two ways; raises ``UsageError`` (VPG1044)."""
    name = str(sweep.scenario)
    root = Composer(name).compose(decode(read_bytes(sweep.scenario, SCENARIO_BYTES_MAX), name))
    apply_overrides(root, sweep.variant, sweep.sets)
    set_keys = [text.partition("=")[0].strip() for text in sweep.sets]
    fixed = [(f"--set {key}", target(root, key)) for key in set_keys]
    swept = [(f"{OPTION} {axis.key}", target(root, axis.key)) for axis in sweep.axes]
    for index, (option, own) in enumerate(swept):
        clash = [said for said, path in fixed if path == own]
        clash += [
            said
            for said, path in swept[:index]
            if own[: len(path)] == path or path[: len(own)] == own
        ]
        if clash:
            values = {"option": clash[0], "other": option}
            raise UsageError(Problem(code="VPG1044", values=values))


def check_points(sweep: Sweep, catalogue: Catalogue) -> list[Problem]:
    """Load every point; return the warnings, each once.

    Raises ``InputError`` with the problems, each once and at most ``PROBLEMS_MAX``. The points that
    differ from the first in one axis come first: they show nearly every mistake at once.
    """
    found: dict[str, Problem] = {}
    doubts: dict[str, Problem] = {}
    for stage in (list(corners(sweep.axes)), points(sweep.axes)):
        for values in stage:
            try:
                scenario = sweep.load(catalogue, values)
            except InputError as error:
                for problem in error.problems:
                    found.setdefault(_same(problem), problem)
                if len(found) >= PROBLEMS_MAX:
                    break
            else:
                for doubt in warnings(scenario, catalogue):
                    doubts.setdefault(_same(doubt), doubt)
        if found:
            raise InputError(list(found.values())[:PROBLEMS_MAX])
    return list(doubts.values())


def corners(axes: Sequence[Axis]) -> Iterator[tuple[str, ...]]:
    """Return the first point, then those that differ from it in one axis."""
    first = tuple(axis.values[0] for axis in axes)
    yield first
    for index, axis in enumerate(axes):
        for value in axis.values[1:]:
            yield (*first[:index], value, *first[index + 1 :])


def _same(problem: Problem) -> str:
    """Return what is equal for one mistake that several points share."""
    place = problem.place
    where = "" if place is None or place.file.startswith("--") else str(place)
    return f"{where} {problem.path} {message(problem.code, 'en', **problem.values)}"


def inputs(sweep: Sweep) -> dict[str, bytes]:
    """Return the data files that any point names, by the names it uses.

    A swept value is a scalar, so a file name can only be a value of an axis: the corners name all.
    """
    files: dict[str, bytes] = {}
    for values in corners(sweep.axes):
        files |= data_files(sweep.scenario, variant=sweep.variant, sets=sweep.sets_of(values))
    return files
