"""``vpg serve --watch``: rates against limits, lines against caps, and yen, as they are now.

Owns: how that looks: a table that stays on a terminal, else a line for each VPG now and then. Does
not own: the figures (``vpg.service.view``). Times: seconds of this machine; what is shown is
service time.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.table import Table

    from vpg.cli.terminal import Terminal
    from vpg.service.server import Server
    from vpg.service.view import Amount, View, VpgView

EVERY_S: Final = 0.5
LINES_EVERY_S: Final = 10.0
_MICRO: Final = 1_000_000
_NEAR: Final = 90
"""Percent of a limit from which on it is shown in colour."""


async def watch(server: Server, stop: asyncio.Event, terminal: Terminal) -> None:
    """Show ``server`` until ``stop``."""
    if sys.stdout.isatty():
        await _table_until(server, stop, terminal)
        return
    while not stop.is_set():
        for line in lines(await server.view(), terminal):
            terminal.data(line)
        await _pause(stop, LINES_EVERY_S)


async def _table_until(server: Server, stop: asyncio.Event, terminal: Terminal) -> None:
    from rich.live import Live

    with Live(console=terminal.console(), auto_refresh=False, transient=True) as live:
        while not stop.is_set():
            live.update(table(await server.view(), terminal), refresh=True)
            await _pause(stop, EVERY_S)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def table(view: View, terminal: Terminal) -> Table:
    """Return ``view`` as a table."""
    from rich import box
    from rich.table import Table

    shown = Table(title=_title(view, terminal), caption=_writer(view, terminal), box=box.SIMPLE)
    shown.add_column(terminal.word("watch_vpg"))
    for head in ("watch_rate", "watch_lines", "watch_hour", "watch_month"):
        shown.add_column(terminal.word(head), justify="right")
    for vpg in view.vpgs:
        shown.add_row(*_cells(vpg, terminal, marked=True))
    return shown


def lines(view: View, terminal: Terminal) -> list[str]:
    """Return ``view`` as lines: one for each VPG, then one for the writer."""
    heads = [
        terminal.word(head) for head in ("watch_rate", "watch_lines", "watch_hour", "watch_month")
    ]
    said = [_title(view, terminal)]
    for vpg in view.vpgs:
        name, *cells = _cells(vpg, terminal, marked=False)
        pairs = zip(heads, cells, strict=True)
        said.append("  ".join([name, *(f"{head} {cell}" for head, cell in pairs)]))
    return [*said, _writer(view, terminal)]


def _title(view: View, terminal: Terminal) -> str:
    from vpg.timebase import to_utc

    now = to_utc(view.now_us).strftime("%Y-%m-%d %H:%M:%S")
    return terminal.word("watch_title", now=now, scale=f"{view.scale:,}")


def _cells(vpg: VpgView, terminal: Terminal, *, marked: bool) -> tuple[str, ...]:
    from rich.markup import escape

    kind = f"{vpg.type} {vpg.size.capitalize()}".strip()
    name = f"{vpg.vpg_id} ({kind})"
    return (
        escape(name) if marked else name,
        _against(vpg.rate_per_s, vpg.rate_max_per_s, marked=marked),
        _against(vpg.lines, vpg.lines_max, marked=marked),
        _yen(vpg.hour, terminal),
        _yen(vpg.month, terminal),
    )


def _against(value: int, limit: int | None, *, marked: bool) -> str:
    if limit is None:
        return f"{value:,}"
    percent = 100 * value // max(1, limit)
    text = f"{value:,} / {limit:,} ({percent}%)"
    return f"[bold red]{text}[/]" if marked and percent >= _NEAR else text


def _yen(amount: Amount | None, terminal: Terminal) -> str:
    """Return an amount in yen, tax excluded, with as many decimals as it needs."""
    if amount is None:
        return "…"
    whole, rest = divmod(amount.micro_yen, _MICRO)
    text = f"{whole:,}" if not rest else f"{whole:,}.{rest:06d}".rstrip("0")
    return terminal.word("watch_unpriced" if amount.unpriced else "watch_yen", yen=text)


def _writer(view: View, terminal: Terminal) -> str:
    return terminal.word(
        "watch_writer",
        events=f"{view.events:,}",
        commits=f"{view.commits:,}",
        waiting=f"{view.waiting:,}",
        state=terminal.word("watch_healthy" if view.healthy else "watch_trouble"),
    )
