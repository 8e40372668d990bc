"""The steps of ``vpg fleet`` and ``vpg twin``: asked, checked, carried out, kept, told.

Owns: what a person sees, and the run directory of a live run. Does not own: fleet or twin
(``loadtests``), the accounts of a run (``runner``). Exit codes: 0 all agrees, 4 it does not, 5 the
generator starved.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vpg.errors import ExitCode, InputError, Problem

if TYPE_CHECKING:
    from rich.console import Console

    from loadtests.fleet.run import FleetRun
    from loadtests.fleet.target import Target
    from loadtests.twin import Twin
    from scenarios.model import Scenario
    from vpg.cli.runner import Loaded, Request
    from vpg.cli.stopping import StopFlag
    from vpg.cli.terminal import Terminal

_EXTRA = ("aiomqtt", "uvloop", "uvicorn")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAsked:
    """What ``vpg fleet`` was asked."""

    request: Request
    targets: tuple[str, ...]
    ready_file: str | None
    token_file: str | None
    owned: bool
    speed: int | None
    for_s: int | None
    connections: int
    lateness_ms: int
    mqtt: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinAsked:
    """What ``vpg twin`` was asked."""

    request: Request
    from_s: int
    for_s: int | None
    speed: int | None
    mqtt: tuple[str, ...]
    charts: bool


def check_extra() -> None:
    """Raise ``MissingExtraError`` (VPG1871) where a library of the extra is not installed."""
    from importlib.util import find_spec

    from vpg.cli.teams import MissingExtraError

    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        values = {"reason": f"no module {', '.join(missing)}", "extra": "live"}
        raise MissingExtraError(Problem(code="VPG1871", values=values))


def _loaded(request: Request, terminal: Terminal) -> Loaded:
    from vpg.cli import runner
    from vpg.text import render

    loaded = runner.load(request)
    for warning in loaded.warnings:
        terminal.note(render(warning, terminal.lang))
    runner.check_out(loaded)
    return loaded


def _target(asked: FleetAsked) -> Target:
    from loadtests.fleet.target import target_of
    from vpg.cli.loading import token_asked

    given = list(asked.targets)
    if asked.ready_file is not None:
        try:
            told = json.loads(Path(asked.ready_file).read_bytes())
            given = [f"{one['name']}={one['url']}" for one in told["addresses"]]
        except (OSError, ValueError, KeyError, TypeError) as failure:
            values = {"url": asked.ready_file, "reason": str(failure)}
            raise InputError([Problem(code="VPG1904", values=values)]) from failure
        given = [one for one in given if not one.startswith("unified=")]
    return target_of(given, token_asked(asked.token_file))


# ---- vpg fleet -----------------------------------------------------------------------------------


def fleet(asked: FleetAsked, terminal: Terminal) -> int:
    """Let the fleet loose; return the exit code."""
    from vpg.cli.options import exclude

    exclude({"--target": bool(asked.targets), "--ready-file": asked.ready_file is not None})
    check_extra()
    target = _target(asked)
    loaded = _loaded(asked.request, terminal)
    from loadtests.fleet.run import FleetOptions, run_fleet
    from loadtests.fleet.target import StoppedEarlyError
    from vpg.cli.stopping import asked_to_stop

    options = FleetOptions(
        speed=asked.speed,
        connections=asked.connections,
        late_ms=asked.lateness_ms,
        mqtt=asked.mqtt,
        for_us=None if asked.for_s is None else asked.for_s * 1_000_000,
        owned=asked.owned,
    )
    with asked_to_stop(terminal.word("stopping")) as stop:
        try:
            run = run_fleet(
                loaded.scenario,
                loaded.catalogue,
                target,
                options,
                stop=stop,
                begun=lambda played: _began(played, terminal),
            )
        except StoppedEarlyError:
            return stop.exit_code
        run_dir = _keep_fleet(loaded, run, stop)
        _tell_fleet(run, run_dir, terminal)
    return _code(stop, starved=run.starved, agrees=run.agrees)


def _began(played: Scenario, terminal: Terminal) -> None:
    from vpg.timebase import iso_utc

    lines = sum(fleet.lines for fleet in played.fleets)
    words = terminal.word(
        "fleet_playing",
        lines=f"{lines:,}",
        begin=iso_utc(played.start_us),
        end=iso_utc(played.end_us),
    )
    terminal.note(words)


def _code(stop: StopFlag, *, starved: bool, agrees: bool) -> int:
    if stop():
        return stop.exit_code
    if starved:
        return int(ExitCode.CANNOT_TELL)
    return int(ExitCode.OK if agrees else ExitCode.ANSWER_IS_NO)


def _keep(loaded: Loaded, run: FleetRun, stop: StopFlag, files: dict[str, bytes]) -> Path:
    from vpg.cli import runner

    played = replace(loaded, scenario=run.scenario, files={**loaded.files, **files})
    result = run.result
    if stop():
        result = replace(result, why_partial=stop.name)
    return runner.write(played, result, runner.account(played, result), stop).run_dir


def _keep_fleet(loaded: Loaded, run: FleetRun, stop: StopFlag) -> Path:
    import msgspec

    from loadtests.twin_document import fleet_part

    encoded = msgspec.json.format(msgspec.json.encode(fleet_part(run)), indent=2) + b"\n"
    return _keep(loaded, run, stop, {"fleet.json": encoded})


def _tell_fleet(run: FleetRun, run_dir: Path, terminal: Terminal) -> None:
    from loadtests.twin_document import FleetDocument, fleet_part

    if terminal.as_json:
        terminal.document(FleetDocument(run_dir=str(run_dir), fleet=fleet_part(run)))
    elif terminal.quiet:
        terminal.data(str(run_dir))
    else:
        terminal.page(lambda console: _print_fleet(console, run, run_dir, terminal))


def _print_fleet(console: Console, run: FleetRun, run_dir: Path, terminal: Terminal) -> None:
    table = _table(terminal, "twin_figure", "fleet_devices", "fleet_store", "twin_holds")
    for one in run.agreements:
        table.add_row(
            _name(one.figure, terminal.lang),
            f"{one.devices:,}",
            f"{one.stored:,}",
            terminal.word("twin_yes" if one.holds else "twin_no"),
        )
    console.print(table)
    for line in _remarks(run, terminal):
        console.print(line)
    console.print(terminal.word("twin_kept", path=run_dir), soft_wrap=True)


def _remarks(run: FleetRun, terminal: Terminal) -> list[str]:
    """Return what else is to be known of a run."""
    counts = run.counts
    told = [
        terminal.word(
            "fleet_generator",
            sent=f"{counts.sent:,}",
            connections=f"{run.connections_peak:,}",
            late_ms=f"{counts.late_wall_us(99) / 1_000:.1f}",
        )
    ]
    if counts.unknown or counts.unacknowledged:
        count = counts.unknown + counts.unacknowledged
        told.append(terminal.word("fleet_unknown", count=f"{count:,}"))
    if run.starved:
        told.append(terminal.word("fleet_starved", limit_ms=run.late_ms))
    if counts.acts_failed or counts.unexpected:
        what = "; ".join([*run.problems[:3], *(str(status) for status in counts.unexpected)])
        told.append(terminal.word("fleet_failed", count=counts.acts_failed, what=what))
    return told


def _table(terminal: Terminal, *heads: str) -> Any:  # noqa: ANN401 - rich's table
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(terminal.word(head), justify="left" if not place else "right")
    return table


def _name(figure: str, lang: str) -> str:
    from reports.texts import label

    return label("twin", figure, lang)


# ---- vpg twin ------------------------------------------------------------------------------------


def twin(asked: TwinAsked, terminal: Terminal) -> int:
    """Run both sides and compare; return the exit code."""
    check_extra()
    loaded = _loaded(asked.request, terminal)
    from loadtests.fleet.target import StoppedEarlyError
    from loadtests.twin import course, run_twin
    from vpg.cli.stopping import asked_to_stop
    from vpg.timebase import SECOND_US

    chosen = course(
        loaded.scenario,
        loaded.catalogue,
        from_s=asked.from_s,
        for_s=asked.for_s,
        speed=asked.speed,
    )
    seconds = (chosen.scenario.end_us - chosen.scenario.start_us) // SECOND_US
    wall_s = -(-seconds // chosen.speed)
    words = terminal.word(
        "twin_running", seconds=f"{seconds:,}", speed=chosen.speed, wall_s=f"{wall_s:,}"
    )
    terminal.note(words)
    with asked_to_stop(terminal.word("stopping")) as stop:
        try:
            found = run_twin(
                chosen, loaded.catalogue, _serve_words(asked.request), mqtt=asked.mqtt, stop=stop
            )
        except StoppedEarlyError:
            return stop.exit_code
        run_dir = _keep_twin(loaded, found, stop, asked, terminal.lang)
        _tell_twin(found, run_dir, terminal)
    agrees = found.verdict == "agree"
    return _code(stop, starved=found.verdict == "cannot_tell", agrees=agrees)


def _serve_words(request: Request) -> list[str]:
    """Return what ``vpg serve`` is told, to run the same scenario."""
    words = ["--scenario", str(request.source.path.absolute())]
    words += ["--variant", request.variant] if request.variant else []
    words += [word for one in request.sets for word in ("--set", one)]
    for path in request.catalogue_files:
        words += ["--catalogue", str(path.absolute())]
    return words


def _keep_twin(loaded: Loaded, found: Twin, stop: StopFlag, asked: TwinAsked, lang: str) -> Path:
    import msgspec

    from loadtests.twin_document import twin_document

    files = {}
    if asked.charts and not stop():
        files["chart-twin.png"] = _chart(found, lang)
    encoded = msgspec.json.encode(twin_document(found, ""))
    files["twin.json"] = msgspec.json.format(encoded, indent=2) + b"\n"
    return _keep(loaded, found.live, stop, files)


def _chart(found: Twin, lang: str) -> bytes:
    import tempfile

    from reports.twin_chart import TwinFigure, TwinPage, draw_twin
    from vpg.timebase import SECOND_US

    simulated, live = found.delays()
    page = TwinPage(
        scenario=found.scenario.name,
        seconds=(found.scenario.end_us - found.scenario.start_us) // SECOND_US,
        speed=found.speed,
        verdict=found.verdict,
        figures=tuple(
            TwinFigure(
                name=one.name,
                kind=one.kind,
                simulated=one.simulated,
                live=one.live,
                tolerance=one.tolerance,
            )
            for one in found.figures
        ),
        simulated=simulated,
        live=live,
    )
    with tempfile.TemporaryDirectory() as folder:
        return draw_twin(page, Path(folder), lang).read_bytes()


def _tell_twin(found: Twin, run_dir: Path, terminal: Terminal) -> None:
    from loadtests.twin_document import twin_document

    if terminal.as_json:
        terminal.document(twin_document(found, str(run_dir)))
    elif terminal.quiet:
        terminal.data(str(run_dir))
    else:
        terminal.page(lambda console: _print_twin(console, found, run_dir, terminal))


def _print_twin(console: Console, found: Twin, run_dir: Path, terminal: Terminal) -> None:
    from reports.texts import text
    from reports.twin_chart import measure

    heads = ("twin_figure", "twin_simulated", "twin_live", "twin_tolerance", "twin_holds")
    table = _table(terminal, *heads)
    for one in found.figures:
        table.add_row(
            _name(one.name, terminal.lang),
            measure(one.kind, one.simulated, terminal.lang),
            measure(one.kind, one.live, terminal.lang),
            f"± {measure(one.kind, one.tolerance, terminal.lang)}",
            terminal.word("twin_yes" if one.agrees else "twin_no"),
        )
    console.print(table)
    for line in _remarks(found.live, terminal):
        console.print(line)
    verdict = text(f"twin.{found.verdict}", terminal.lang)
    console.print(terminal.word("twin_verdict", verdict=verdict))
    console.print(terminal.word("twin_kept", path=run_dir), soft_wrap=True)
