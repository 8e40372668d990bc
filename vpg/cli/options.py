"""Options that several commands share, declared once, and the reading of what they were given.

Owns: their names, units, defaults and help. Values are checked here only as far as no other part
does it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from vpg.errors import InputError, Place, Problem, UsageError
from vpg.hints import closest

ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO", help="Scenario file (YAML), or the name of a ready-made scenario."
    ),
]
VariantOption = Annotated[
    str | None,
    typer.Option("--variant", metavar="NAME", help="Named variant of the scenario to apply."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one key, e.g. vpgs[0].size=medium; applied last, in order, repeatable.",
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        min=0,
        max=2**63 - 1,
        help="Seed of every random draw, 0 to 2^63-1; else the scenario's.",
    ),
]
CatalogueOption = Annotated[
    list[str] | None,
    typer.Option(
        "--catalogue",
        metavar="FILE",
        help="Your own price and limit table (TOML) over the built-in one; repeatable.",
    ),
]
OutDirOption = Annotated[
    str,
    typer.Option("--out", metavar="DIR", help="Directory that receives the run directory."),
]
REPLICATIONS_MAX = 100_000
ReplicationsOption = Annotated[
    int | None,
    typer.Option(
        "--replications",
        metavar="R",
        min=1,
        max=REPLICATIONS_MAX,
        help="Run R times with independent draws and give 95 % intervals; the run directory is "
        "that of the first. With --until: at most R (1,000).",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="FIGURE+-WIDTH",
        help="Replicate until the interval of a figure is that narrow, e.g. accepted_share+-0.1% "
        "(points of a share), delay_us_p99+-5% (of the mean), charges_yen+-100 (its unit). Exit "
        "with 5 when R are not enough.",
    ),
]
EngineOption = Annotated[
    Literal["auto", "reference", "compiled"],
    typer.Option(
        "--engine",
        help="Data plane: SimPy, one event after the other, or compiled; auto: the reference "
        "for small runs. All give the same figures.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=256,
        help="Threads of one run and processes for replications, else as many as pay; results "
        "never depend on it.",
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Compute on the workers of a Dask scheduler, e.g. tcp://10.0.0.5:8786 (extra "
        "cluster). Results never depend on it.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that exist already.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a scenario is: its file, and the name it was asked by when it is ready-made."""

    path: Path
    ready_name: str = ""


def find_scenario(value: str) -> Source:
    """Return the file that ``value`` (a path or a ready-made name) means; a file wins over a name.

    Raises ``InputError`` (VPG1020, VPG1024) when it means none.
    """
    from importlib import resources

    from scenarios.new import ready_names

    path = Path(value)
    try:
        if path.is_dir():
            reason = {"reason": "it is a directory"}
            raise InputError([Problem(code="VPG1024", place=Place(file=value), values=reason)])
        if path.exists():
            return Source(path=path)
    except (OSError, ValueError) as failure:
        reason = {"reason": getattr(failure, "strerror", None) or str(failure)}
        problem = Problem(code="VPG1024", place=Place(file=value), values=reason)
        raise InputError([problem]) from failure
    names = ready_names()
    if value in names:
        folder = resources.files("scenarios.ready")
        return Source(path=Path(str(folder.joinpath(f"{value}.yaml"))), ready_name=value)
    values = {"value": value, "hint": closest(value, names)}
    raise InputError([Problem(code="VPG1020", values=values)])


def read_date(option: str, value: str | None) -> dt.date | None:
    """Return the date that the ``value`` of ``option`` says; raises ``UsageError`` (VPG1030)."""
    if value is None:
        return None
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise unreadable(option, value, "2026-04-01") from None


def unreadable(option: str, value: str, example: str) -> UsageError:
    """Return the error of an ``option`` whose ``value`` does not read like ``example``."""
    values = {"option": option, "value": value, "example": example}
    return UsageError(Problem(code="VPG1030", values=values))


def catalogue_files(given: list[str] | None) -> tuple[Path, ...]:
    """Return the files of ``--catalogue`` in order."""
    return tuple(Path(name) for name in given or ())


def exclude(given: dict[str, bool]) -> None:
    """Refuse two options that contradict each other; ``given``: option → whether it was given.

    Raises ``UsageError`` (VPG1029).
    """
    both = [option for option, is_given in given.items() if is_given]
    if len(both) > 1:
        raise UsageError(Problem(code="VPG1029", values={"option": both[0], "other": both[1]}))
