"""``vpg validate``: whether a scenario can run, with every mistake at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpg.cli.grammar import command
from vpg.cli.options import (
    CatalogueOption,
    ScenarioArgument,
    SetOption,
    VariantOption,
    catalogue_files,
    find_scenario,
)

if TYPE_CHECKING:
    import typer

    from vpg.cli.runner import Loaded
    from vpg.cli.terminal import Terminal


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "validate",
        "Check a scenario without running it. Every mistake is told at once, then the warnings.",
        (
            "vpg validate mine.yaml",
            "vpg validate mine.yaml --variant peak --set vpgs[0].size=large --json",
        ),
    )(validate)


def validate(
    terminal: Terminal,
    *,
    scenario: ScenarioArgument,
    variant: VariantOption = None,
    sets: SetOption = None,
    catalogue: CatalogueOption = None,
) -> None:
    """Load and tell."""
    from vpg.cli.runner import Request, load

    loaded = load(
        Request(
            source=find_scenario(scenario),
            variant=variant,
            sets=tuple(sets or ()),
            catalogue_files=catalogue_files(catalogue),
        )
    )
    if terminal.as_json:
        terminal.document(_document(loaded))
    else:
        _tell(loaded, terminal)


def _tell(loaded: Loaded, terminal: Terminal) -> None:
    from vpg.text import render
    from vpg.timebase import iso_jst

    meant = loaded.scenario
    for warning in loaded.warnings:
        terminal.note(render(warning, terminal.lang))
    terminal.data(
        terminal.word(
            "validate_ok",
            name=meant.name,
            vpgs=len(meant.vpgs),
            lines=f"{sum(fleet.lines for fleet in meant.fleets):,}",
            fleets=len(meant.fleets),
            start=iso_jst(meant.start_us),
            end=iso_jst(meant.end_us),
        )
    )


def _document(loaded: Loaded) -> object:
    from vpg.cli.documents import ValidateDocument, problem_part

    meant = loaded.scenario
    return ValidateDocument(
        scenario=meant.name,
        title=meant.title,
        valid=True,
        start_us=meant.start_us,
        end_us=meant.end_us,
        seed=meant.seed,
        variant=meant.variant,
        overrides=list(meant.overrides),
        vpgs=[vpg.id for vpg in meant.vpgs],
        fleets=[fleet.name for fleet in meant.fleets],
        lines=sum(fleet.lines for fleet in meant.fleets),
        warnings=[problem_part(warning) for warning in loaded.warnings],
    )
