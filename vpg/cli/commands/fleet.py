"""``vpg fleet``: a scenario's devices, let loose on a live service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.grammar import command
from vpg.cli.options import (
    CatalogueOption,
    OutDirOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    VariantOption,
    catalogue_files,
    find_scenario,
)

if TYPE_CHECKING:
    from vpg.cli.terminal import Terminal

_Target = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="[NAME=]URL",
        help="The service's API; else http://127.0.0.1:8090. NAME: beam, funnel, funk or mqtt, "
        "where they are not at the usual ports; repeatable.",
    ),
]
_Ready = Annotated[
    str | None,
    typer.Option("--ready-file", metavar="FILE", help="Its addresses, as vpg serve wrote them."),
]
_Token = Annotated[
    str | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="File whose first line is a token (or OPERATOR TOKEN).",
    ),
]
_Owned = Annotated[
    bool,
    typer.Option(
        "--i-own-this-target", help="The target is on another machine, and may be loaded."
    ),
]
_Speed = Annotated[
    int | None,
    typer.Option(
        "--speed",
        metavar="K",
        min=1,
        max=10_000,
        help="The service's --time-scale, to be sure of it; else as measured.",
    ),
]
_For = Annotated[
    int | None,
    typer.Option(
        "--for-s",
        metavar="S",
        min=1,
        max=366 * 86_400,
        help="Seconds of the scenario to play; else to its end.",
    ),
]
_Connections = Annotated[
    int,
    typer.Option(
        "--connections",
        metavar="N",
        min=1,
        max=10_000,
        help="Most connections open at once; an idle one is closed for another device.",
    ),
]
_Lateness = Annotated[
    int,
    typer.Option(
        "--lateness-ms",
        metavar="MS",
        min=1,
        max=10_000,
        help="The generator has starved (exit 5) when 1 % of its requests leave later.",
    ),
]
MqttOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mqtt",
        metavar="FLEET",
        help="Fleet whose Beam messages go by MQTT (QoS 1), or all; repeatable.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "fleet",
        "Let a scenario's devices loose on a live service. They send, attach and try again as in "
        "the simulator, each from its own address, in the service's time.",
        (
            "vpg fleet smart-meters --for-s 300",
            "vpg fleet mine.yaml --ready-file ready.json --mqtt sensors",
            "vpg fleet mine.yaml --target http://127.0.0.1:9000 --target beam=http://127.0.0.1:9001",
        ),
    )(fleet)


def fleet(
    terminal: Terminal,
    *,
    scenario: ScenarioArgument,
    target: _Target = None,
    ready_file: _Ready = None,
    token_file: _Token = None,
    i_own_this_target: _Owned = False,
    speed: _Speed = None,
    for_s: _For = None,
    mqtt: MqttOption = None,
    connections: _Connections = 4_000,
    lateness_ms: _Lateness = 50,
    out: OutDirOption = "runs",
    variant: VariantOption = None,
    sets: SetOption = None,
    catalogue: CatalogueOption = None,
    seed: SeedOption = None,
) -> None:
    """Let them loose."""
    from vpg.cli import twinning
    from vpg.cli.runner import Request

    asked = twinning.FleetAsked(
        request=Request(
            source=find_scenario(scenario),
            variant=variant,
            sets=(*(sets or ()), *(() if seed is None else (f"seed={seed}",))),
            catalogue_files=catalogue_files(catalogue),
            out=Path(out),
            lang=terminal.lang,
        ),
        targets=tuple(target or ()),
        ready_file=ready_file,
        token_file=token_file,
        owned=i_own_this_target,
        speed=speed,
        for_s=for_s,
        connections=connections,
        lateness_ms=lateness_ms,
        mqtt=tuple(mqtt or ()),
    )
    raise typer.Exit(twinning.fleet(asked, terminal))
