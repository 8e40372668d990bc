"""``vpg import``: from the files a customer already has to a scenario that runs.

Owns: the spelling of the importers' options and the writing of what they return. Does not own:
reading the files (``scenarios.importers``).
"""

from __future__ import annotations

import datetime as dt
import inspect
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vpg.cli.grammar import LangOption, Options, command, new_app
from vpg.cli.options import read_date, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scenarios.importers.result import Imported
    from vpg.cli.terminal import Terminal

Kind = Literal["lines", "usage", "air", "beam", "demand"]


def _option(
    kind: Any,  # noqa: ANN401 - a type, as typer reads it
    default: str | int | None,
    name: str,
    text: str,
    metavar: str | None = None,
) -> tuple[Any, str | int | None]:
    return Annotated[kind, typer.Option(name, help=text, metavar=metavar)], default


def _flag(name: str, text: str) -> tuple[Any, bool]:
    return Annotated[bool, typer.Option(name, help=text)], False


_SERVICES = Literal["beam", "funnel", "funk", "ip"]
_FILE: Options = {
    "file": (
        Annotated[str, typer.Argument(metavar="FILE", help="CSV file to read.")],
        inspect.Parameter.empty,
    ),
    "out": _option(
        str, ".", "--out", "Directory that receives the scenario and its data files.", "DIR"
    ),
    "force": _flag("--force", "Replace files that exist already."),
}
_EVERY: Options = {
    "name": _option(str, "", "--name", "Name of the scenario; else the importer's.", "NAME"),
    "vpg_type": _option(
        Literal["C", "D", "E", "F", "F2", "G"], "C", "--vpg-type", "Type of the VPG."
    ),
    "size": _option(
        Literal["auto", "small", "medium", "large"],
        "auto",
        "--size",
        "Size of the VPG; auto: the smallest whose line cap holds every line that can attach.",
    ),
    "seed": _option(int, 1, "--seed", "Seed of the scenario's draws, 0 to 2^63-1.", "N"),
    "start": _option(
        str | None,
        None,
        "--start",
        "First instant with zone, e.g. 2026-04-01T00:00:00+09:00; else from the file's dates.",
        "TIME",
    ),
    "days": _option(
        int | None, None, "--days", "Simulated length in days; else the importer's.", "N"
    ),
    "encoding": _option(
        Literal["auto", "utf-8", "cp932"],
        "auto",
        "--encoding",
        "Encoding of the file; auto tries UTF-8, then cp932.",
    ),
    "header": _option(
        Literal["auto", "present", "absent"],
        "auto",
        "--header",
        "Whether the first row names the columns.",
    ),
    "strict": _flag("--strict", "One bad row refuses the whole file."),
    "problems_max": _option(
        int, 20, "--problems-max", "Bad rows of one kind told one by one; the rest is counted.", "N"
    ),
}
_BYTES: Options = {
    "payload_bytes": _option(
        int, 256, "--payload-bytes", "Bytes of one message, device to platform.", "BYTES"
    ),
    "answer_bytes": _option(int, 64, "--answer-bytes", "Bytes of its answer.", "BYTES"),
}
_EVERY_S = _option(int, 3600, "--every-s", "Seconds between two messages of a line.", "SECONDS")
_BEAM = _option(_SERVICES, "beam", "--service", "Entry point that carries the messages.")
_IP = _option(_SERVICES, "ip", "--service", "Entry point that carries the messages.")
_DEMAND: Options = {
    "tz": _option(
        str, "", "--tz", "Zone of the file's local times, e.g. America/New_York; needed.", "ZONE"
    ),
    "rebase": _option(
        str | None, None, "--rebase", "JST date that takes the place of the first day.", "DATE"
    ),
    "scale": _option(str, "1", "--scale", "Factor on every value.", "FACTOR"),
    "first": _option(str | None, None, "--from", "First local day to take.", "DATE"),
    "until": _option(str | None, None, "--until", "Local day to stop before.", "DATE"),
    "lines": _option(int, 1000, "--lines", "Lines that share the demand.", "N"),
    "clock": _option(
        Literal["wall", "elapsed"],
        "wall",
        "--clock",
        "With --rebase: keep the time of day (wall) or the distance between instants (elapsed).",
    ),
}
_OWN: dict[Kind, Options] = {
    "lines": {"service": _BEAM, **_BYTES, "every_s": _EVERY_S},
    "usage": {
        "service": _IP,
        "every_s": _EVERY_S,
        "up_percent": _option(
            int, 50, "--up-percent", "Share of the bytes that go upward, in percent.", "PERCENT"
        ),
    },
    "air": {
        "service": _IP,
        "packets_per_message": _option(
            int, 10, "--packets-per-message", "Upward packets that make one message.", "N"
        ),
    },
    "beam": dict(_BYTES),
    "demand": {**_DEMAND, "service": _BEAM, **_BYTES},
}
_TEXTS: dict[Kind, tuple[str, str]] = {
    "lines": (
        "Read the portal's line list: one line a row, with its status.",
        "vpg import lines lines.csv --every-s 1800 --out plan",
    ),
    "usage": (
        "Read the portal's daily data usage per line.",
        "vpg import usage usage.csv --days 7 --out plan",
    ),
    "air": ("Read the provider's Air usage CSV.", "vpg import air air.csv --out plan"),
    "beam": ("Read the provider's Beam statistics CSV.", "vpg import beam beam.csv --out plan"),
    "demand": (
        "Read a demand curve measured in local time.",
        "vpg import demand nyc_taxi.csv --tz America/New_York --rebase 2026-04-01 --scale 0.5",
    ),
}


def register(app: typer.Typer) -> None:
    """Add ``import`` and its five kinds to ``app``."""
    group = new_app("Turn CSV files you already have into a scenario that runs.")

    @group.callback()
    def root(*, lang: LangOption = None) -> None:
        del lang  # The terminal knows the language already.

    for kind, (text, example) in _TEXTS.items():
        options = {**_FILE, **_EVERY, **_OWN[kind]}
        command(group, kind, text, (example,), options)(_importing(kind))
    app.add_typer(group, name="import")


def _importing(kind: Kind) -> Callable[..., None]:
    def importing(
        terminal: Terminal,
        *,
        file: str,
        out: str,
        force: bool,
        **chosen: Any,  # noqa: ANN401 - what typer parsed
    ) -> None:
        from scenarios.importers.result import write_import

        imported = _read(kind, Path(file), _values(chosen))
        files = write_import(imported, Path(out), force=force)
        _tell(terminal, kind, imported, files)

    return importing


def _read(kind: Kind, file: Path, values: dict[str, Any]) -> Imported:
    from scenarios.importers import options
    from scenarios.importers.air import import_air
    from scenarios.importers.beam import import_beam
    from scenarios.importers.demand import import_demand
    from scenarios.importers.lines import import_lines
    from scenarios.importers.usage import import_usage

    match kind:
        case "lines":
            return import_lines(file, options.LinesOptions(**values))
        case "usage":
            return import_usage(file, options.UsageOptions(**values))
        case "air":
            return import_air(file, options.AirOptions(**values))
        case "beam":
            return import_beam(file, options.BeamOptions(**values))
        case "demand":
            return import_demand(file, options.DemandOptions(**values))


def _values(chosen: dict[str, Any]) -> dict[str, Any]:
    """Turn the texts of the command line into the values of the importers' options."""
    values = dict(chosen)
    if values["start"] is not None:
        values["start"] = _moment(values["start"])
    for key, option in (("rebase", "--rebase"), ("first", "--from"), ("until", "--until")):
        if key in values:
            values[key] = read_date(option, values[key])
    if "scale" in values:
        values["scale"] = _number("--scale", values["scale"])
    return values


def _moment(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise unreadable("--start", text, "2026-04-01T00:00:00+09:00") from None


def _number(option: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise unreadable(option, text, "0.5") from None


def _tell(terminal: Terminal, kind: Kind, imported: Imported, files: Sequence[Path]) -> None:
    from vpg.text import render

    for problem in imported.problems:
        terminal.note(render(problem, terminal.lang))
    terminal.note(", ".join(f"{name} {count:,}" for name, count in imported.counts.items()))
    terminal.wrote(files, files[-1])
    if terminal.as_json:
        from vpg.cli.documents import ImportDocument, problem_part

        terminal.document(
            ImportDocument(
                kind=kind,
                scenario_file=str(files[-1]),
                files=[str(path) for path in files],
                counts=imported.counts,
                problems=[problem_part(problem) for problem in imported.problems],
            )
        )
