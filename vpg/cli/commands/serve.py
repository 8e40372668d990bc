"""``vpg serve``: a scenario's VPGs as a live gateway, every accepted request counted and billed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.grammar import command
from vpg.cli.options import (
    CatalogueOption,
    SeedOption,
    SetOption,
    VariantOption,
    catalogue_files,
    exclude,
    find_scenario,
)

if TYPE_CHECKING:
    from vpg.cli.terminal import Terminal

_SCALE_MAX = 10_000
_DELAY_MAX = 10_000


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "serve",
        "Serve a scenario's VPGs live. Entry points with line cap and request limit, usage events "
        "counted once and durably, hourly metrics and bills while you watch. Ends on Ctrl-C, "
        "answering first what is in flight.",
        (
            "vpg serve --scenario smart-meters",
            "vpg serve --scenario mine.yaml --store april.sqlite --watch",
            "vpg serve --scenario mine.yaml --port api=0 --no-entry --ready-file ready.json",
            "vpg serve --scenario mine.yaml --start scenario --time-scale 60",
            "vpg serve --scenario mine.yaml --upstream https://collector.example/in",
        ),
    )(serve)


def serve(
    terminal: Terminal,
    *,
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario",
            metavar="SCENARIO",
            help="Scenario file (YAML), or the name of a ready-made scenario: its VPGs and lines.",
        ),
    ],
    variant: VariantOption = None,
    sets: SetOption = None,
    catalogue: CatalogueOption = None,
    seed: SeedOption = None,
    store: Annotated[
        str,
        typer.Option(
            "--store",
            metavar="STORE",
            help="Where everything is kept: a file (SQLite), or postgresql://… (extra postgres) "
            "for several processes.",
        ),
    ] = "service.sqlite",
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="ADDRESS", help="Address to listen on; beyond loopback with a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        list[str] | None,
        typer.Option(
            "--port",
            metavar="NAME=N",
            help="Port of api (8090), beam (8888), funnel (8081), funk (8082), unified (8083) or "
            "mqtt (1883); 0: a free one; repeatable.",
        ),
    ] = None,
    no_entry: Annotated[
        bool, typer.Option("--no-entry", help="Only the API: no entry points for devices.")
    ] = False,
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", metavar="FILE", help="Tokens that the API asks for."),
    ] = None,
    tls_cert: Annotated[
        str | None,
        typer.Option("--tls-cert", metavar="FILE", help="Certificate (PEM): the API by TLS."),
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option("--tls-key", metavar="FILE", help="Its private key (PEM).")
    ] = None,
    time_scale: Annotated[
        int | None,
        typer.Option(
            "--time-scale",
            metavar="K",
            min=1,
            max=_SCALE_MAX,
            help="Service time runs K times as fast as the wall: limits, timeouts, clock hours.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="TIME",
            help="Service time begins here: ISO 8601 with zone, or the word scenario; else now.",
        ),
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            "--upstream",
            metavar="[VPG=]URL",
            help="Pass accepted requests on to http(s):// or mqtt://; else answered here; "
            "repeatable.",
        ),
    ] = None,
    no_implicit_attach: Annotated[
        bool,
        typer.Option("--no-implicit-attach", help="A request without a session is refused."),
    ] = False,
    any_line: Annotated[
        bool, typer.Option("--any-line", help="Count usage events of lines nobody registered.")
    ] = False,
    ready_file: Annotated[
        str | None,
        typer.Option(
            "--ready-file", metavar="FILE", help="Write the bound addresses here when ready (JSON)."
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Show rates against limits, lines against caps and yen, live."
        ),
    ] = False,
    fault_sync_delay_ms: Annotated[
        int,
        typer.Option(
            "--fault-sync-delay-ms",
            metavar="MS",
            min=0,
            max=_DELAY_MAX,
            help="Fault to study: every sync of the store takes so much longer.",
        ),
    ] = 0,
) -> None:
    """Serve until a signal."""
    from vpg.cli import serving

    exclude({"--watch": watch, "--json": terminal.as_json})
    exclude({"--watch": watch, "--quiet": terminal.quiet})
    asked = serving.Asked(
        source=find_scenario(scenario),
        variant=variant,
        sets=(*(sets or ()), *(() if seed is None else (f"seed={seed}",))),
        catalogue_files=catalogue_files(catalogue),
        store=store,
        host=host,
        ports=tuple(port or ()),
        entry=not no_entry,
        token_file=token_file,
        tls=serving.tls_asked(tls_cert, tls_key),
        time_scale=time_scale,
        start=start,
        upstreams=tuple(upstream or ()),
        implicit_attach=not no_implicit_attach,
        any_line=any_line,
        ready_file=ready_file,
        watch=watch,
        sync_delay_ms=fault_sync_delay_ms,
    )
    raise typer.Exit(serving.serve(asked, terminal))
