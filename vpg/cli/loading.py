"""The steps of ``vpg load``: what was asked, checked and made into a load; carried out; told.

Owns: the checks of the command line and what a person sees. Does not own: any load
(``loadtests``). Exit codes: 0 all agrees, 4 it does not, 5 the generator was starved (or the target
loaded already).
"""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vpg.errors import ExitCode, InputError, Place, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from loadtests.faults import FaultKind, Studied
    from loadtests.load_document import LoadDocument
    from loadtests.loadrun import Done, Setting
    from loadtests.plan import Kind
    from loadtests.planning import Law, Load, Meant
    from loadtests.target import Target
    from vpg.cli.runner import Loaded
    from vpg.cli.terminal import Terminal

_STEP = re.compile(r"(?P<rate>\d{1,5})x(?P<seconds>\d{1,4})")
_ADDRESS = re.compile(r"(?P<host>[^\s:]+):(?P<port>\d{1,5})")
_PORT_MAX = 65_535
_RATE_MAX = 50_000
_EXTRAS = ("hdrh", "locust")
_OTHER_FILES = 200
"""File descriptors of a process beside its connections."""
_API = "api"
_VERDICTS = {
    "agrees": "load_agrees",
    "disagrees": "load_disagrees",
    "invalid": "load_invalid",
}
_REASONS = {
    "late": "load_invalid_late",
    "connections": "load_invalid_connections",
    "unsent": "load_invalid_unsent",
    "process_lost": "load_invalid_process_lost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What ``vpg load`` was asked."""

    kind: Kind
    target: str | None
    ready_file: str | None
    token_file: str | None
    own_target: bool
    rate: int
    for_s: int
    law: Law
    steps: str | None
    demand: str | None
    scenario: str | None
    variant: str | None
    sets: list[str] | None
    catalogue: list[str] | None
    from_s: int
    speed: int
    seed: int
    lines: int
    bytes_up: int
    bytes_down: int
    services: list[str] | None
    processes: int
    master: str | None
    workers_wait_s: int
    connections: int
    timeout_s: int
    lateness_ms: int
    fault: FaultKind | None
    faults: int
    fault_ms: int
    out: str
    batch: int = 1
    duplicates: int = 0
    late: int = 0
    late_s: int = 3_600


# ---- what was asked ------------------------------------------------------------------------------


def steps_asked(value: str) -> tuple[tuple[int, int], ...]:
    """Return (requests a second, seconds) of each step; raises ``UsageError`` (VPG1030).

    >>> steps_asked("100x10,200x5")
    ((100, 10), (200, 5))
    """
    from vpg.cli.options import unreadable

    found = []
    for part in value.split(","):
        step = _STEP.fullmatch(part.strip())
        if step is None or not 0 < int(step["rate"]) <= _RATE_MAX or not int(step["seconds"]):
            raise unreadable("--steps", value, "100x10,200x10")
        found.append((int(step["rate"]), int(step["seconds"])))
    return tuple(found)


def demand_asked(name: str) -> tuple[tuple[float, float], ...]:
    """Return (seconds, requests a second) of each row; raises ``InputError`` (VPG1024, VPG1916)."""
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or str(failure)
        place = Place(file=name)
        problem = Problem(code="VPG1024", place=place, values={"reason": reason})
        raise InputError([problem]) from failure
    points: list[tuple[float, float]] = []
    problems = []
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        if not row or (number == 1 and not _numbers(row)):
            continue  # An empty line, or names of columns.
        pair = _numbers(row)
        if pair is None or not 0 <= pair[1] <= _RATE_MAX or pair[0] <= _last(points):
            values = {"value": ",".join(row), "most": _RATE_MAX}
            place = Place(file=name, line=number)
            problems.append(Problem(code="VPG1916", place=place, values=values))
            continue
        points.append(pair)
    if not problems and len(points) < 2:  # noqa: PLR2004 - a line needs two ends
        values = {"value": text[:40].strip() or "-", "most": _RATE_MAX}
        problems.append(Problem(code="VPG1916", place=Place(file=name), values=values))
    if problems:
        raise InputError(problems)
    return tuple(points)


def _last(points: Sequence[tuple[float, float]]) -> float:
    return points[-1][0] if points else -1e-9


def _numbers(row: Sequence[str]) -> tuple[float, float] | None:
    try:
        first, second = (float(cell) for cell in row)
    except ValueError:
        return None
    return first, second


def address_asked(option: str, value: str) -> tuple[str, int]:
    """Return host and port; raises ``UsageError`` (VPG1030)."""
    from vpg.cli.options import unreadable

    found = _ADDRESS.fullmatch(value)
    if found is None or not 0 < int(found["port"]) <= _PORT_MAX:
        raise unreadable(option, value, "192.0.2.7:5557")
    return found["host"], int(found["port"])


def token_asked(name: str | None) -> str:
    """Return the first token of the file ``name``; raises ``InputError`` (VPG1024)."""
    if name is None:
        return ""
    try:
        lines = Path(name).read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or str(failure)
        problem = Problem(code="VPG1024", place=Place(file=name), values={"reason": reason})
        raise InputError([problem]) from failure
    words = next((line.split() for line in lines if line.strip() and line[0] != "#"), [""])
    return words[-1]


def addresses_asked(asked: Asked) -> dict[str, tuple[str, int]]:
    """Return ``api`` and entry points; raises ``UsageError`` or ``InputError`` (VPG1904)."""
    from loadtests.planning import entry_addresses
    from loadtests.target import host_and_port
    from vpg.cli.options import exclude
    from vpg.service.plan import PORTS

    exclude({"--target": asked.target is not None, "--ready-file": asked.ready_file is not None})
    if asked.ready_file is not None:
        try:
            told = json.loads(Path(asked.ready_file).read_bytes())
            return {one["name"]: (one["host"], int(one["port"])) for one in told["addresses"]}
        except (OSError, ValueError, KeyError, TypeError) as failure:
            values = {"url": asked.ready_file, "reason": str(failure)}
            raise InputError([Problem(code="VPG1904", values=values)]) from failure
    host, port = host_and_port(asked.target or f"http://127.0.0.1:{PORTS[_API]}")
    entries = entry_addresses(host, [name for name in PORTS if name != _API])
    return {_API: (host, port), **entries}


def check_extras() -> None:
    """Raise ``MissingExtraError`` (VPG1900) where Locust or hdrhistogram is not installed."""
    from importlib.util import find_spec

    from vpg.cli.teams import MissingExtraError

    missing = [name for name in _EXTRAS if find_spec(name) is None]
    if missing:
        raise MissingExtraError(Problem(code="VPG1900", values={"missing": ", ".join(missing)}))


def _check(asked: Asked) -> None:
    """Refuse options that contradict each other."""
    shapes = {
        "--steps": asked.steps is not None,
        "--demand": asked.demand is not None,
        "--law": asked.law != "even",
    }
    told = [option for option, given in shapes.items() if given]
    if len(told) > 1:
        raise UsageError(Problem(code="VPG1908", values={"first": told[0], "second": told[1]}))
    if asked.scenario is None:
        for option, needs in (
            ("--law scenario", asked.law == "scenario"),
            ("--fault", asked.fault),
        ):
            if needs:
                values = {"option": "--scenario", "reason": option}
                raise UsageError(Problem(code="VPG1918", values=values))
    if asked.fault is not None:
        from loadtests.faults import OF_GATEWAYS

        if asked.target is not None or asked.ready_file is not None:
            values = {
                "option": "--fault",
                "other": "--target" if asked.target is not None else "--ready-file",
                "reason": "the service is started for it",
            }
            raise UsageError(Problem(code="VPG1913", values=values))
        if asked.kind == "rating" and asked.fault in OF_GATEWAYS:
            values = {
                "option": f"--fault {asked.fault}",
                "other": "vpg load rating",
                "reason": "usage events never get to an upstream",
            }
            raise UsageError(Problem(code="VPG1913", values=values))


def _check_where(addresses: dict[str, tuple[str, int]], *, own: bool) -> None:
    from loadtests.target import is_loopback

    for host, port in addresses.values():
        if not own and not is_loopback(host):
            url = f"http://{host}:{port}"
            raise UsageError(Problem(code="VPG1901", values={"url": url}))


def _check_descriptors(asked: Asked) -> None:
    """Raise the limit of open files as far as needed, or ``InputError`` (VPG1907)."""
    import resource

    needed = -(-asked.connections // asked.processes) + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            values = {"needed": needed, "most": hard}
            raise InputError([Problem(code="VPG1907", values=values)])
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def services_asked(asked: Asked) -> tuple[str, ...]:
    """Return the services named; raises ``UsageError`` (VPG1013) for one that there is not."""
    from vpg.hints import closest
    from vpg.rating.hourly import LIMITED_SERVICES, SERVICES

    known = SERVICES if asked.kind == "rating" else LIMITED_SERVICES
    for name in asked.services or ():
        if name not in known:
            values = {"option": "--service", "value": name, "known": ", ".join(known)}
            hint = closest(name, known)
            raise UsageError(Problem(code="VPG1013", values={**values, "hint": hint}))
    return tuple(asked.services or ())


def _law(asked: Asked) -> Law:
    if asked.steps is not None:
        return "steps"
    return "demand" if asked.demand is not None else asked.law


def load_of(asked: Asked, loaded: Loaded | None) -> Load:
    """Return the load that was asked for."""
    from loadtests.planning import Load

    law = _law(asked)
    services = services_asked(asked)
    return Load(
        kind=asked.kind,
        law=law,
        rate_per_s=asked.rate,
        for_s=asked.for_s,
        steps=steps_asked(asked.steps) if asked.steps is not None else (),
        points=demand_asked(asked.demand) if asked.demand is not None else (),
        meant=_meant(asked, loaded) if loaded is not None and law == "scenario" else None,
        services=services or (() if law == "scenario" else ("beam",)),
        bytes_up=asked.bytes_up,
        bytes_down=asked.bytes_down,
        lines_max=asked.lines,
        batch=asked.batch,
        duplicates_percent=asked.duplicates,
        late_percent=asked.late,
        late_s=asked.late_s,
        processes=asked.processes,
        connections_max=asked.connections,
        timeout_s=asked.timeout_s,
        seed=asked.seed,
    )


def _meant(asked: Asked, loaded: Loaded) -> Meant:
    from loadtests.intended import schedule
    from loadtests.planning import Meant
    from vpg.timebase import SECOND_US

    scenario = loaded.scenario
    begin_us = scenario.start_us + asked.from_s * SECOND_US
    end_us = begin_us + asked.for_s * asked.speed * SECOND_US
    return Meant(sends=schedule(scenario, begin_us, end_us), begin_us=begin_us, speed=asked.speed)


def _loaded(asked: Asked) -> Loaded | None:
    from vpg.cli.options import catalogue_files, find_scenario
    from vpg.cli.runner import Request, load

    if asked.scenario is None:
        return None
    return load(
        Request(
            source=find_scenario(asked.scenario),
            variant=asked.variant,
            sets=tuple(asked.sets or ()),
            catalogue_files=catalogue_files(asked.catalogue),
        )
    )


def _serve_words(asked: Asked, loaded: Loaded) -> list[str]:
    """Return what ``vpg serve`` is told, to run the same scenario."""
    words = ["--scenario", str(loaded.request.source.path.absolute())]
    words += ["--variant", asked.variant] if asked.variant else []
    words += [word for one in asked.sets or () for word in ("--set", one)]
    for path in loaded.request.catalogue_files:
        words += ["--catalogue", str(path.absolute())]
    return words


# ---- the load ------------------------------------------------------------------------------------


def load(asked: Asked, terminal: Terminal) -> int:
    """Carry out the load; return the exit code."""
    check_extras()
    _check(asked)
    _check_descriptors(asked)
    loaded = _loaded(asked)
    wanted = load_of(asked, loaded)
    with ExitStack() as stack:
        studied = None
        if asked.fault is not None and loaded is not None:
            studied = stack.enter_context(_studied(asked, wanted, loaded, stack))
        addresses = studied.served.addresses if studied is not None else addresses_asked(asked)
        _check_where(addresses, own=asked.own_target)
        done = _carry_out(
            asked, wanted, loaded, studied=studied, addresses=addresses, terminal=terminal
        )
    _tell(done, terminal)
    return int(exit_code(done.document))


def exit_code(document: LoadDocument) -> ExitCode:
    """Return what the verdict means to a shell."""
    if document.verdict == "disagrees":
        return ExitCode.ANSWER_IS_NO
    return ExitCode.CANNOT_TELL if document.verdict == "invalid" else ExitCode.OK


def _studied(asked: Asked, wanted: Load, loaded: Loaded, stack: ExitStack) -> Any:  # noqa: ANN401 - a context manager
    from loadtests.faults import studied
    from loadtests.planning import instants

    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vpg-fault-"))
    length_s: float = asked.for_s
    if wanted.law in {"steps", "demand"}:
        length_s = float(instants(wanted)[-1]) / 1e6
    return studied(
        asked.fault or "kill",
        Path(folder),
        _serve_words(asked, loaded),
        length_s=length_s,
        times=asked.faults,
        delay_ms=asked.fault_ms,
    )


def _carry_out(
    asked: Asked,
    wanted: Load,
    loaded: Loaded | None,
    *,
    studied: Studied | None,
    addresses: dict[str, tuple[str, int]],
    terminal: Terminal,
) -> Done:
    from loadtests.loadrun import carry_out
    from loadtests.planning import planned
    from loadtests.target import Target

    token = token_asked(asked.token_file)
    host, port = addresses[_API]
    with Target(f"http://{host}:{port}", token) as target:
        target.check()
        target.check_at_rest()
        plan, schedule = planned(wanted, target, addresses, token)
        setting = _setting(asked, loaded, studied)
        seconds = round(schedule.length_us / 1e6)
        terminal.note(
            terminal.word(
                "load_sending", requests=f"{len(schedule):,}", seconds=seconds, url=target.url
            )
        )
        if setting.master is not None:
            terminal.note(
                terminal.word(
                    "load_waiting",
                    workers=asked.processes,
                    command=f"vpg load worker {asked.kind} --master {asked.master}",
                )
            )
        _check_entries(asked, target, addresses)
        return carry_out(wanted, plan, schedule, target, setting)


def _check_entries(asked: Asked, target: Target, addresses: dict[str, tuple[str, int]]) -> None:
    """Refuse entry points where nobody listens (VPG1903)."""
    import socket

    if asked.kind != "gateway":
        return
    for name in asked.services or ("beam",):
        host, port = addresses[name]
        try:
            socket.create_connection((host, port), timeout=5).close()
        except OSError as failure:
            values = {"url": f"http://{host}:{port}", "reason": f"{name}: {failure.strerror}"}
            raise InputError([Problem(code="VPG1903", values=values)]) from failure
    del target


def _setting(asked: Asked, loaded: Loaded | None, studied: Studied | None) -> Setting:
    from loadtests.loadrun import Setting
    from scenarios.terms import charge_policy
    from vpg.catalogue.load import load_catalogue
    from vpg.cli.clock import wall_us
    from vpg.cli.options import catalogue_files
    from vpg.cli.versions import DISTRIBUTION, version_of

    fault = None if studied is None else studied.fault
    files = catalogue_files(asked.catalogue)
    return Setting(
        catalogue=load_catalogue(files) if loaded is None else loaded.catalogue,
        out=Path(asked.out),
        scenario="" if loaded is None else loaded.scenario.name,
        policy=None if loaded is None else charge_policy(loaded.scenario),
        lateness_p99_ms=asked.lateness_ms,
        master=None if asked.master is None else address_asked("--master", asked.master),
        workers_wait_s=asked.workers_wait_s,
        started_us=wall_us(),
        versions={name: version_of(name) for name in (DISTRIBUTION, "locust", "hdrhistogram")},
        may_lose_refusals=asked.fault == "kill",
        tick=None if fault is None else fault.tick,
        settled=None if fault is None else fault.settled,
    )


def work(kind: Kind, master: str, terminal: Terminal) -> int:
    """Be a worker of a master elsewhere until its load is over; return the exit code."""
    import sys

    from loadtests.locust_run import LOG_FILE, locustfile, process_group

    check_extras()
    host, port = address_asked("--master", master)
    words = [sys.executable, "-m", "locust", "-f", locustfile(kind), "--worker"]
    words += ["--master-host", host, "--master-port", str(port), "--loglevel", "WARNING"]
    terminal.note(terminal.word("load_working", master=master))
    with tempfile.TemporaryDirectory(prefix="vpg-load-") as name:
        folder = Path(name)
        with process_group(words, cwd=folder, log=folder / LOG_FILE) as process:
            code = process.wait()
        said = (folder / LOG_FILE).read_text(errors="replace").strip()
    if code:
        terminal.complain(said[-500:])
    return int(ExitCode.OK if not code else ExitCode.CANNOT_TELL)


# ---- what a person sees --------------------------------------------------------------------------


def _tell(done: Done, terminal: Terminal) -> None:
    if terminal.as_json:
        import msgspec

        terminal.document(msgspec.structs.replace(done.document, run_dir=str(done.run_dir)))
        return
    if terminal.quiet:
        return
    terminal.page(lambda console: _show(done.document, console, terminal))
    terminal.data(terminal.word("new_wrote", path=f"{done.run_dir}{os.sep}"))


def _show(document: LoadDocument, console: Console, terminal: Terminal) -> None:
    from rich.table import Table

    from loadtests.reconcile import summed

    generator = document.generator
    answers = ", ".join(f"{status} {count:,}" for status, count in document.answers.items())
    console.print(
        terminal.word(
            "load_sent",
            sent=f"{generator.sent:,}",
            intended=f"{generator.intended:,}",
            answers=answers,
        )
    )
    times = Table(box=None, pad_edge=False)
    for name in ("load_ms", "p50", "p90", "p99", "p99.9", "max"):
        head = terminal.word(name) if name == "load_ms" else name
        times.add_column(head, justify="left" if name == "load_ms" else "right")
    for key, spread in (
        ("load_latency", document.latency_us),
        ("load_service_time", document.service_time_us),
        ("load_lateness", generator.lateness_us),
    ):
        figures = (spread.p50, spread.p90, spread.p99, spread.p99_9, spread.max)
        times.add_row(terminal.word(key), *(f"{figure / 1_000:,.1f}" for figure in figures))
    console.print(times)
    counts = Table(box=None, pad_edge=False)
    for key in ("load_figure", "load_acknowledged", "load_unknown", "load_stored", "load_off"):
        counts.add_column(terminal.word(key), justify="left" if key == "load_figure" else "right")
    for row in summed(document.compared):
        counts.add_row(
            f"{row.vpg_id} {row.column}",
            f"{row.acknowledged:,}",
            f"{row.unknown:,}",
            f"{row.stored:,}",
            f"{row.doubled - row.lost:+,}" if row.doubled or row.lost else "0",
        )
    console.print(counts)
    for text in _sentences(document, terminal):
        console.print(text, soft_wrap=True, markup=False)


def _sentences(document: LoadDocument, terminal: Terminal) -> list[str]:
    word, generator = terminal.word, document.generator
    found = []
    if document.fault is not None:
        at_s = ", ".join(f"{at:.1f}" for at in document.fault.at_s)
        away_s = ", ".join(f"{away:.1f}" for away in document.fault.away_s) or "-"
        kind = document.fault.kind
        found.append(word("load_fault", kind=kind, at=at_s or "-", away=away_s))
    found += [word("load_unexpected", text=text) for text in document.unexpected]
    if document.resolved or document.unknown_count:
        left = document.unknown_count
        found.append(word("load_resolved", resolved=f"{document.resolved:,}", left=f"{left:,}"))
    for bill in document.bills:
        key = "load_bill_ok" if not bill.differences else "load_bill_off"
        values = {"month": bill.month, "rows": bill.charges}
        found.append(word(key, what=", ".join(bill.differences), **values))
    for reason in generator.invalid_because:
        found.append(
            word(
                _REASONS[reason],
                p99=generator.lateness_us.p99 // 1_000,
                most=generator.lateness_p99_most_us // 1_000,
                waits=generator.pool_waits,
                unsent=generator.intended - generator.sent,
            )
        )
    found.append(word(_VERDICTS[document.verdict], lost=document.lost, doubled=document.doubled))
    return found
