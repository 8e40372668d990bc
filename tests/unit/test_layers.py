"""The layer contracts bite: each finds a violation planted in a copy of the house."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LINT = """
import sys
sys.path.insert(0, ".")
from importlinter.cli import lint_imports_command
lint_imports_command()
"""
PACKAGES = ("vpg", "scenarios", "sim", "loadtests", "reports")

# contract id → (file, line put at its end); a function's inside counts as well.
PLANTED = {
    "nothing-imports-cli": ("sim/planted.py", "import vpg.cli.main"),
    "layers": ("vpg/planted.py", "def f():\n    import scenarios.model"),
    "reports-never-sim": ("reports/planted.py", "def f():\n    import sim.plane"),
    "vpg-free-of-engines": ("vpg/planted.py", "def f():\n    import numba"),
    "gateway-plain-integers": ("vpg/gateway/planted.py", "import numpy"),
    "scenarios-no-engine": ("scenarios/planted.py", "import simpy"),
    "typer-in-cli-only": ("sim/planted.py", "import typer"),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the packages' Python files and the contracts."""
    copy = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in PACKAGES:
        for source in (ROOT / package).rglob("*.py"):
            target = copy / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return copy


def broken(house: Path) -> set[str]:
    """Return the ids of the contracts that are broken in ``house``."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", LINT, "--no-cache"],
        cwd=house,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    by_id = contracts()
    assert sum(line.startswith(tuple(by_id.values())) for line in lines) >= len(by_id), done
    return {
        contract
        for contract, name in by_id.items()
        if any(line.startswith(f"{name} BROKEN") for line in lines)
    }


def contracts() -> dict[str, str]:
    """Return each contract's id and name."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {c["id"]: c["name"] for c in settings["tool"]["importlinter"]["contracts"]}


def test_every_contract_has_a_planted_violation() -> None:
    assert set(contracts()) == set(PLANTED)


def test_the_house_keeps_them_all(house: Path) -> None:
    assert broken(house) == set()


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_violation_breaks(house: Path, contract: str) -> None:
    name, line = PLANTED[contract]
    planted = house / name
    planted.write_text(line + "\n", encoding="utf-8")
    try:
        assert contract in broken(house)
    finally:
        planted.unlink()
