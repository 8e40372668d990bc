"""Start-up check that the packages which Python finds are ours.

Owns: telling which file hides, replaces or lacks one of our top-level packages. ``sim``,
``scenarios``, ``reports`` and ``loadtests`` are common names: a script of the user called
``sim.py``, or another distribution that ships ``reports``, would otherwise end in an ImportError
about a name nobody knows. Does not own: showing the problem (``vpg.cli``). Imports none of the
packages it looks for: it asks the finders only, which costs well under 2 ms.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from vpg.errors import Place, Problem

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

PACKAGES = ("sim", "scenarios", "reports", "loadtests")
_ROOT = Path(__file__).parent.parent


def check_shadowing() -> list[Problem]:
    """Return one problem for each of ``PACKAGES`` that is not ours; empty when all is well."""
    return [problem for name in PACKAGES if (problem := _check(name)) is not None]


def _check(name: str) -> Problem | None:
    ours = _ROOT / name / "__init__.py"
    found = _found(name)
    values = {"package": name, "ours": str(ours)}
    if found is None:
        return Problem(code="VPG1002", place=Place(file=str(ours)), values=values)
    if found != ours and found.resolve() != ours.resolve():
        return Problem(code="VPG1001", place=Place(file=str(found)), values=values)
    if ours.stat().st_size:  # ours are empty: another distribution was unpacked over it
        return Problem(code="VPG1003", place=Place(file=str(ours)), values=values)
    return None


def _found(name: str) -> Path | None:
    """Return the file, or the folder without ``__init__.py``, that ``import name`` would take."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # imported already, by hand, without a spec
        return None
    return None if spec is None else _place(spec)


def _place(spec: ModuleSpec) -> Path | None:
    if spec.has_location and spec.origin:
        return Path(spec.origin)
    return next((Path(folder) for folder in spec.submodule_search_locations or ()), None)
