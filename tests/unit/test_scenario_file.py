"""A failing scenario is kept as a file that runs the same, or says what it cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenarios.loader import load_scenario
from sim.run import simulate
from tests.support_random import any_case, plain_case
from tests.support_scenario_file import kept_on_failure, spoken, write
from tests.support_steady import steady_case
from vpg.catalogue.load import load_catalogue
from vpg.rating.hourly import digest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support_scenario_file import Case

CASES = (any_case, plain_case, steady_case)
SEEDS = range(4)
SAID = [
    *((any_case, seed) for seed in (6, 18)),
    *((plain_case, seed) for seed in (0, 2, 8, 13)),
    *((steady_case, seed) for seed in (1, 2, 4, 8, 16, 20)),
]
"""Whose every word a file has."""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", CASES)
def test_a_kept_file_reads_back_as_what_it_was_made_of(
    case: Case, seed: int, tmp_path: Path
) -> None:
    what, catalogue = case(seed)
    kept = write(what, catalogue, tmp_path, "kept", "a test")
    read = load_scenario(kept.path, catalogue=load_catalogue([kept.limits]))
    comment = kept.path.read_text(encoding="utf-8")
    assert all(f"# {line}\n" in comment for line in (*kept.left_out, *kept.differs))
    assert (read == spoken(what)) == (not kept.differs)
    assert not kept.left_out or kept.differs


@pytest.mark.parametrize(("case", "seed"), SAID)
def test_what_a_file_can_say_gives_the_same_figures(case: Case, seed: int, tmp_path: Path) -> None:
    what, catalogue = case(seed)
    kept = write(what, catalogue, tmp_path, "kept", "a test")
    assert not kept.differs
    limits = load_catalogue([kept.limits])
    again = simulate(load_scenario(kept.path, catalogue=limits), limits, engine="reference")
    assert digest(again.rows) == digest(simulate(what, catalogue, engine="reference").rows)


def test_a_failure_is_kept_with_its_seed_until_it_passes(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught, kept_on_failure(any_case, 3, tmp_path):
        raise AssertionError
    (path,) = tmp_path.glob("*.yaml")
    assert path.name == "any_case-3.yaml"
    assert caught.value.__notes__ == [f"kept as {path}"]
    assert "tests.support_random.any_case(3)" in path.read_text(encoding="utf-8")
    with kept_on_failure(any_case, 3, tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
