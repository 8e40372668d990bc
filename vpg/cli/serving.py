"""The steps of ``vpg serve``: what was asked, checked and made into a plan; serve; tell; end.

Owns: the checks of the command line, the announcement, and what signals do. Does not own: the
scenario's meaning as values (``serving_values``), the service (``vpg.service.server``) or the live
view (``watching``).
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vpg.errors import ExitCode, InputError, Place, Problem, UsageError

if TYPE_CHECKING:
    from scenarios.model import Scenario
    from vpg.cli.documents import ServeDocument
    from vpg.cli.options import Source
    from vpg.cli.runner import Loaded
    from vpg.cli.terminal import Terminal
    from vpg.service.http.auth import Tokens
    from vpg.service.plan import Plan, Tls
    from vpg.service.server import Server

_PORT = re.compile(r"(?P<name>[a-z]+)=(?P<port>\d{1,5})")
_PORT_MAX = 65_535
_LIVE = ("aiomqtt", "httptools", "httpx", "prometheus_client", "starlette", "uvicorn", "uvloop")
_SCHEMES = ("http://", "https://", "mqtt://")
_SIGNALS: tuple[Literal[signal.Signals.SIGINT], Literal[signal.Signals.SIGTERM]] = (
    signal.SIGINT,
    signal.SIGTERM,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What ``vpg serve`` was asked."""

    source: Source
    variant: str | None
    sets: tuple[str, ...]
    catalogue_files: tuple[Path, ...]
    store: str
    host: str
    ports: tuple[str, ...]
    entry: bool
    token_file: str | None
    tls: Tls | None
    time_scale: int | None
    start: str | None
    upstreams: tuple[str, ...]
    implicit_attach: bool
    mqtt_throttled: Literal["ignore", "disconnect"]
    any_line: bool
    ready_file: str | None
    watch: bool
    sync_delay_ms: int


# ---- what was asked ------------------------------------------------------------------------------


def tls_asked(certificate: str | None, key: str | None) -> Tls | None:
    """Return both files of TLS, or None; raises ``UsageError`` (VPG1879) for one alone."""
    from vpg.service.plan import Tls

    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError(Problem(code="VPG1879"))
    return Tls(certificate=Path(certificate), key=Path(key))


def ports_asked(given: tuple[str, ...], *, entry: bool) -> dict[str, int]:
    """Return name → port for what shall listen; raises ``UsageError`` (VPG1873, VPG1874)."""
    from vpg.service.plan import API, PORTS

    ports = dict(PORTS)
    for value in given:
        found = _PORT.fullmatch(value)
        if found is None or found["name"] not in PORTS or int(found["port"]) > _PORT_MAX:
            values = {"value": value, "known": ", ".join(PORTS)}
            raise UsageError(Problem(code="VPG1873", values=values))
        ports[found["name"]] = int(found["port"])
    kept = ports if entry else {API: ports[API]}
    chosen = [port for port in kept.values() if port]
    for name, port in kept.items():
        if chosen.count(port) > 1:
            raise UsageError(Problem(code="VPG1874", values={"name": name, "port": port}))
    return kept


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is an address of this machine alone.

    Raises ``UsageError`` (VPG1875) when it is no address.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise UsageError(Problem(code="VPG1875", values={"host": host})) from None


def upstreams_asked(given: tuple[str, ...], known: tuple[str, ...]) -> dict[str, str]:
    """Return VPG → URL (``""``: all others); raises ``UsageError`` (VPG1876, VPG1877)."""
    from vpg.hints import closest

    upstreams: dict[str, str] = {}
    for value in given:
        name, is_named, url = value.partition("=")
        if not is_named or "://" in name:
            name, url = "", value
        if not url.startswith(_SCHEMES):
            raise UsageError(Problem(code="VPG1876", values={"value": value}))
        if name and name not in known:
            values = {"name": name, "known": ", ".join(known), "hint": closest(name, known)}
            raise UsageError(Problem(code="VPG1877", values=values))
        upstreams[name] = url
    return upstreams


def start_asked(value: str | None, scenario: Scenario) -> int | None:
    """Return where service time begins (µs); None: now. Raises ``UsageError`` (VPG1030)."""
    import datetime as dt

    from vpg.cli.options import unreadable
    from vpg.timebase import from_datetime

    if value is None:
        return None
    if value == "scenario":
        return scenario.start_us
    try:
        return from_datetime(dt.datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        raise unreadable("--start", value, "2026-04-01T09:00:00+09:00") from None


def tokens_asked(name: str | None) -> Tokens:
    """Return the tokens of the file ``name``; raises ``InputError`` (VPG1024, VPG184x)."""
    from vpg.service.http.auth import Tokens, read_tokens

    if name is None:
        return Tokens()
    try:
        text = Path(name).read_text(encoding="utf-8")
    except OSError as failure:
        raise _unreadable(name, failure.strerror or str(failure)) from failure
    except ValueError as failure:
        raise _unreadable(name, "it is not UTF-8 text") from failure
    return read_tokens(text, name)


def _unreadable(name: str, reason: str) -> InputError:
    return InputError([Problem(code="VPG1024", place=Place(file=name), values={"reason": reason})])


def plan(asked: Asked, loaded: Loaded) -> Plan:
    """Return what to serve; raises ``UsageError`` and ``InputError`` with what is wrong."""
    from vpg.cli import serving_values
    from vpg.service.plan import Plan

    scenario = loaded.scenario
    ports = ports_asked(asked.ports, entry=asked.entry)
    if not is_loopback(asked.host) and asked.token_file is None:
        raise UsageError(Problem(code="VPG1870", values={"host": asked.host}))
    upstreams = upstreams_asked(asked.upstreams, tuple(vpg.id for vpg in scenario.vpgs))
    count = serving_values.line_count(scenario)
    if count > serving_values.LINES_MAX:
        values = {"lines": count, "most": serving_values.LINES_MAX}
        raise InputError([Problem(code="VPG1880", values=values)])
    return Plan(
        orders=serving_values.orders(scenario, upstreams),
        lines=lambda: tuple(serving_values.lines(scenario)),
        rules=serving_values.rules(
            scenario,
            implicit_attach=asked.implicit_attach,
            any_line=asked.any_line,
            mqtt_above_rate=asked.mqtt_throttled,
        ),
        billing=serving_values.billing_rules(scenario),
        catalogue=loaded.catalogue,
        store=asked.store,
        host=asked.host,
        ports=ports,
        tokens=tokens_asked(asked.token_file),
        tls=asked.tls,
        start_us=start_asked(asked.start, scenario),
        seed=scenario.seed,
        scale=asked.time_scale,
        sync_delay_us=asked.sync_delay_ms * 1_000,
    )


# ---- serving -------------------------------------------------------------------------------------


def serve(asked: Asked, terminal: Terminal) -> int:
    """Serve until a signal; return the exit code."""
    import warnings

    from vpg.cli.runner import Request, load
    from vpg.text import render

    loaded = load(
        Request(
            source=asked.source,
            variant=asked.variant,
            sets=asked.sets,
            catalogue_files=asked.catalogue_files,
        )
    )
    for warning in loaded.warnings:
        terminal.note(render(warning, terminal.lang))
    planned = plan(asked, loaded)
    _check_extras(planned)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of libraries, to those who write libraries.
        import uvloop

        from vpg.service.server import Server
    from vpg.service.log import Log

    server = Server(planned, Log())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(server, asked, loaded, terminal))


def _check_extras(planned: Plan) -> None:
    """Raise ``MissingExtraError`` (VPG1871) where a library of an extra is not installed."""
    import importlib
    import warnings

    from vpg.cli.teams import MissingExtraError
    from vpg.service.ownership import is_database

    wanted = {"live": _LIVE, "postgres": ("psycopg",) if is_database(planned.store) else ()}
    for extra, names in wanted.items():
        for name in names:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    importlib.import_module(name)
            except ImportError as missing:
                values = {"reason": str(missing), "extra": extra}
                raise MissingExtraError(Problem(code="VPG1871", values=values)) from missing


async def _serve(server: Server, asked: Asked, loaded: Loaded, terminal: Terminal) -> int:
    stop = _Stop(terminal)
    with stop:
        await server.start()
        try:
            document = _document(server, asked, loaded)
            _announce(document, asked, terminal)
            await _until_stopped(server, stop, asked, terminal)
        finally:
            await server.stop()
    return stop.exit_code


async def _until_stopped(server: Server, stop: _Stop, asked: Asked, terminal: Terminal) -> None:
    if not asked.watch:
        await stop.asked.wait()
        return
    from vpg.cli.watching import watch

    await watch(server, stop.asked, terminal)


class _Stop:
    """The first signal asks to end, answering first what is in flight; a second ends at once."""

    def __init__(self, terminal: Terminal) -> None:
        self.asked = asyncio.Event()
        self.exit_code = int(ExitCode.OK)
        self._said = terminal.word("serve_stopping")

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in _SIGNALS:
            loop.add_signal_handler(signum, self._came, signum)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for signum in _SIGNALS:
            loop.remove_signal_handler(signum)

    def _came(self, signum: int) -> None:
        if self.asked.is_set():
            os._exit(128 + signum)  # What was acknowledged is committed; nothing else matters now.
        self.exit_code = 128 + signum
        os.write(2, f"\n{self._said}\n".encode(errors="replace"))
        self.asked.set()


# ---- the announcement ----------------------------------------------------------------------------


def _document(server: Server, asked: Asked, loaded: Loaded) -> ServeDocument:
    from vpg.cli.documents import AddressPart, ServeDocument
    from vpg.cli.terminal import sound

    anchor = server.clock.anchor
    return ServeDocument(
        scenario=loaded.scenario.name,
        pid=os.getpid(),
        store=sound(asked.store.rpartition("@")[2]),
        now_us=server.clock.now_us(),
        time_scale=anchor.scale,
        vpgs=[vpg.id for vpg in loaded.scenario.vpgs],
        lines=server.line_count,
        addresses=[
            AddressPart(name=name, host=host, port=port, url=server.url(name))
            for name, (host, port) in server.addresses.items()
        ],
    )


def _announce(document: ServeDocument, asked: Asked, terminal: Terminal) -> None:
    import msgspec

    from vpg.cli.files import write_new

    if asked.ready_file is not None:
        encoded = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
        write_new({Path(asked.ready_file): encoded}, force=True)
    if terminal.as_json:
        terminal.document(document)
        return
    if terminal.quiet:
        return
    terminal.data(
        terminal.word("serve_ready", vpgs=len(document.vpgs), lines=f"{document.lines:,}")
    )
    for address in document.addresses:
        terminal.data(f"  {address.name:8} {address.url}")
