"""``vpg twin``: one scenario through the simulator and through a live service, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.commands.fleet import MqttOption
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


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "twin",
        "Run a scenario in the simulator and on a live service of its own. Compares accepted, "
        "throttled, refused, delay and bytes; exit 4 when they disagree, 5 when it cannot tell.",
        (
            "vpg twin smallest",
            "vpg twin alarm-storm --variant twin",
            "vpg twin mine.yaml --from-s 3600 --for-s 300 --speed 10",
            "vpg twin smallest --variant twin --mqtt all",
        ),
    )(twin)


def twin(
    terminal: Terminal,
    *,
    scenario: ScenarioArgument,
    from_s: Annotated[
        int, typer.Option("--from-s", metavar="S", min=0, help="Seconds after the start.")
    ] = 0,
    for_s: Annotated[
        int | None,
        typer.Option(
            "--for-s",
            metavar="S",
            min=1,
            max=30 * 86_400,
            help="Seconds of the scenario; else at most 600, less where they would take long.",
        ),
    ] = None,
    speed: Annotated[
        int | None,
        typer.Option(
            "--speed",
            metavar="K",
            min=1,
            max=10_000,
            help="How fast service time runs; else so that it takes less than a minute.",
        ),
    ] = None,
    mqtt: MqttOption = None,
    no_charts: Annotated[bool, typer.Option("--no-charts", help="Draw no chart.")] = False,
    out: OutDirOption = "runs",
    variant: VariantOption = None,
    sets: SetOption = None,
    catalogue: CatalogueOption = None,
    seed: SeedOption = None,
) -> None:
    """Compare both sides."""
    from vpg.cli import twinning
    from vpg.cli.runner import Request

    asked = twinning.TwinAsked(
        request=Request(
            source=find_scenario(scenario),
            variant=variant,
            sets=(*(sets or ()), *(() if seed is None else (f"seed={seed}",))),
            catalogue_files=catalogue_files(catalogue),
            out=Path(out),
            lang=terminal.lang,
        ),
        from_s=from_s,
        for_s=for_s,
        speed=speed,
        mqtt=tuple(mqtt or ()),
        charts=not no_charts,
    )
    raise typer.Exit(twinning.twin(asked, terminal))
