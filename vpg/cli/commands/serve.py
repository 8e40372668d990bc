"""``vpg serve``: a scenario's VPGs as a live gateway, every accepted request counted and billed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

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

_Scenario = Annotated[
    str,
    typer.Option(
        "--scenario",
        metavar="SCENARIO",
        help="Scenario file (YAML), or the name of a ready-made scenario: its VPGs and lines.",
    ),
]
_Store = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="STORE",
        help="Where everything is kept: a file (SQLite), or postgresql://… (extra postgres) "
        "for several processes.",
    ),
]
_Host = Annotated[
    str,
    typer.Option(
        "--host", metavar="ADDRESS", help="Address to listen on; beyond loopback with a token."
    ),
]
_Port = Annotated[
    list[str] | None,
    typer.Option(
        "--port",
        metavar="NAME=N",
        help="Port of api (8090), beam (8888), funnel (8081), funk (8082), unified (8083) or "
        "mqtt (1883); 0: a free one; repeatable.",
    ),
]
_NoEntry = Annotated[
    bool, typer.Option("--no-entry", help="Only the API: no entry points for devices.")
]
_TokenFile = Annotated[
    str | None,
    typer.Option("--token-file", metavar="FILE", help="Tokens that the API asks for."),
]
_TlsCert = Annotated[
    str | None,
    typer.Option("--tls-cert", metavar="FILE", help="Certificate (PEM): the API by TLS."),
]
_TlsKey = Annotated[
    str | None, typer.Option("--tls-key", metavar="FILE", help="Its private key (PEM).")
]
_TimeScale = Annotated[
    int | None,
    typer.Option(
        "--time-scale",
        metavar="K",
        min=1,
        max=_SCALE_MAX,
        help="Service time runs K times as fast as the wall: limits, timeouts, clock hours.",
    ),
]
_Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="TIME",
        help="Service time begins here: ISO 8601 with zone, or the word scenario; else now.",
    ),
]
_Upstream = Annotated[
    list[str] | None,
    typer.Option(
        "--upstream",
        metavar="[VPG=]URL",
        help="Pass accepted requests on to http(s):// or mqtt://; else answered here; repeatable.",
    ),
]
_NoImplicitAttach = Annotated[
    bool,
    typer.Option("--no-implicit-attach", help="A request without a session is refused."),
]
_MqttThrottled = Annotated[
    Literal["ignore", "disconnect"],
    typer.Option(
        "--mqtt-throttled",
        help="What a publish of QoS 1 above the request limit gets: no acknowledgement, or the end "
        "of its connection.",
    ),
]
_AnyLine = Annotated[
    bool, typer.Option("--any-line", help="Count usage events of lines nobody registered.")
]
_ReadyFile = Annotated[
    str | None,
    typer.Option(
        "--ready-file", metavar="FILE", help="Write the bound addresses here when ready (JSON)."
    ),
]
_Watch = Annotated[
    bool,
    typer.Option("--watch", help="Show rates against limits, lines against caps and yen, live."),
]
_FaultSyncDelayMs = Annotated[
    int,
    typer.Option(
        "--fault-sync-delay-ms",
        metavar="MS",
        min=0,
        max=_DELAY_MAX,
        help="Fault to study: every sync of the store takes so much longer.",
    ),
]


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
    scenario: _Scenario,
    variant: VariantOption = None,
    sets: SetOption = None,
    catalogue: CatalogueOption = None,
    seed: SeedOption = None,
    store: _Store = "service.sqlite",
    host: _Host = "127.0.0.1",
    port: _Port = None,
    no_entry: _NoEntry = False,
    token_file: _TokenFile = None,
    tls_cert: _TlsCert = None,
    tls_key: _TlsKey = None,
    time_scale: _TimeScale = None,
    start: _Start = None,
    upstream: _Upstream = None,
    no_implicit_attach: _NoImplicitAttach = False,
    mqtt_throttled: _MqttThrottled = "ignore",
    any_line: _AnyLine = False,
    ready_file: _ReadyFile = None,
    watch: _Watch = False,
    fault_sync_delay_ms: _FaultSyncDelayMs = 0,
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
        mqtt_throttled=mqtt_throttled,
        any_line=any_line,
        ready_file=ready_file,
        watch=watch,
        sync_delay_ms=fault_sync_delay_ms,
    )
    raise typer.Exit(serving.serve(asked, terminal))
