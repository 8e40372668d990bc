"""What tests of several parts share; no test lives here."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vpg.results import RunResult

ROOT = Path(__file__).parent.parent
"""The clone: where the top-level packages lie."""


def run_scenario(text: str, *, limits: dict[str, int] | None = None) -> RunResult:
    """Simulate a scenario's text by the product's own road: catalogue, loader, simulator.

    ``limits`` replaces catalogue items (e.g. ``lines_max_c_small``) as a user's own table does.
    """
    from scenarios.loader import load_scenario
    from sim.engine_check.limits import limits_table
    from sim.run import simulate
    from vpg.catalogue.load import load_catalogue

    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.toml"
        own.write_text(limits_table(limits or {}), encoding="utf-8")
        catalogue = load_catalogue([own] if limits else [])
    return simulate(load_scenario(text, catalogue=catalogue), catalogue)
