"""What a scenario's shape allows and its run cannot use: stale tables, hopeless limits, the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenarios.loader import load_scenario
from tests.support_scenarios import problems, text
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError
from vpg.text import render

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.catalogue.model import Catalogue

# ---- the catalogue over the whole period --------------------------------------------------------


def stale(folder: Path, item: str) -> Catalogue:
    """Return a catalogue whose ``item`` has no figure after March 2026."""
    table = folder / "ours.toml"
    table.write_text(
        'id = "ours"\neffective_from = 2026-01-01\nvalid_until = 2026-03-31\n'
        f'[[price]]\nitem = "{item}"\nvalue = 60\nunit = "yen/h"\nreplace = true\n',
        encoding="utf-8",
    )
    return load_catalogue([table])


@pytest.mark.parametrize(
    "whole",
    [
        text(),
        text(("2026-04-01T09", "2026-03-31T23")),
        text(
            ("size: small", "size: medium"),
            tail="events:\n  - {kind: recreate, at: +01:00:00, vpg: gate, size: small}\n",
        ),
    ],
    ids=["from-the-start", "ends-within", "recreated"],
)
def test_a_table_that_ended_is_an_error(whole: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_scenario(whole, catalogue=stale(tmp_path, "vpg_c_small"))
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("VPG1120", "vpg_c_small")
    assert problem.place is not None
    assert problem.place.line > 0
    assert "2026-03-31" in render(problem, "en")


def test_a_table_that_ended_for_another_size_or_later_is_none(tmp_path: Path) -> None:
    assert load_scenario(text(), catalogue=stale(tmp_path, "vpg_c_medium"))
    before = text(("2026-04-01T09", "2026-03-31T22"))
    assert load_scenario(before, catalogue=stale(tmp_path, "vpg_c_small"))


def test_a_run_before_the_first_table_is_an_error() -> None:
    found = problems(text(("2026-04-01", "2012-04-01")))
    assert {problem.code for problem in found} == {"VPG1121"}
    assert "lines_max_c_small" in {problem.path for problem in found}
