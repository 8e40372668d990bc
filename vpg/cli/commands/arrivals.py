"""``vpg arrivals``: when each message of a scenario is meant to leave, for a load generator."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from vpg.cli.grammar import command
from vpg.cli.options import (
    CatalogueOption,
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
        "arrivals",
        "Print when each message is meant to leave, as CSV in order of time: an open-model "
        "schedule that a load generator can replay. Nothing is simulated or sent.",
        (
            "vpg arrivals smart-meters --for-s 60",
            "vpg arrivals mine.yaml --from-s 3600 --for-s 600 > sends.csv",
        ),
    )(arrivals)


def arrivals(
    terminal: Terminal,
    *,
    scenario: ScenarioArgument,
    from_s: Annotated[
        int, typer.Option("--from-s", metavar="S", min=0, help="Seconds after the start.")
    ] = 0,
    for_s: Annotated[
        int | None,
        typer.Option("--for-s", metavar="S", min=1, help="Seconds to list; else to the end."),
    ] = None,
    variant: VariantOption = None,
    sets: SetOption = None,
    catalogue: CatalogueOption = None,
    seed: SeedOption = None,
) -> None:
    """List the intended sends."""
    from loadtests.intended import csv_lines, schedule
    from vpg.cli.documents import ArrivalsDocument, SendPart
    from vpg.cli.runner import Request, load
    from vpg.timebase import SECOND_US

    loaded = load(
        Request(
            source=find_scenario(scenario),
            variant=variant,
            sets=(*(sets or ()), *(() if seed is None else (f"seed={seed}",))),
            catalogue_files=catalogue_files(catalogue),
        )
    )
    meant = loaded.scenario
    begin_us = meant.start_us + from_s * SECOND_US
    end_us = meant.end_us if for_s is None else begin_us + for_s * SECOND_US
    sends = schedule(meant, begin_us, end_us)
    if terminal.as_json:
        parts = [SendPart(**dataclasses.asdict(send)) for send in sends]
        terminal.document(ArrivalsDocument(scenario=meant.name, sends=parts))
        return
    for line in csv_lines(sends):
        terminal.data(line.removesuffix("\n"))
