"""What ships: the wheel's content, and the command from an environment outside the clone.

The short form installs the wheel by itself and lets it see the libraries of the running
environment; the long form installs it as a user does, libraries and all, into an empty one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT

TOP_LEVEL = {"sim", "vpg", "loadtests", "scenarios", "reports"}
SHORT, LONG, WITH_DATA = "smallest", "smart-meters", "taxi-payments"


def call(*words: str | Path, cwd: Path) -> str:
    """Run a command with none of our settings around it and return what it printed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VPG_"))}
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sources() -> set[str]:
    """Return the files of the five packages that git keeps or would keep; notes apart."""
    listed = call("git", "ls-files", "-z", "-c", "-o", "--exclude-standard", *TOP_LEVEL, cwd=ROOT)
    names = {name for name in listed.split("\0") if (ROOT / name).is_file()}
    return {name for name in names if not name.endswith(".md")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing ignored or left over gets in."""
    copy = tmp_path_factory.mktemp("copy")
    for name in (*sources(), "pyproject.toml", "README.md", "LICENSE"):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", cwd=copy)
    [built] = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment that sees our libraries, not this clone."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    call(
        *(sys.executable, "-m", "pip", "--python", python),
        *("install", "--quiet", "--no-deps", "--no-index", wheel),
        cwd=home,
    )
    [site] = home.glob("lib/python*/site-packages")
    # A line of a .pth file adds the folder only: the editable hooks inside it stay asleep.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home / "bin"


def test_the_wheel_has_exactly_our_five_top_level_names(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == TOP_LEVEL


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert names == sources()


def test_the_wheel_passes_check_wheel_contents(wheel: Path) -> None:
    command = Path(sys.executable).with_name("check-wheel-contents")
    assert call(command, "--config", ROOT / "pyproject.toml", wheel, cwd=ROOT).endswith("OK\n")


def test_the_wheel_carries_the_licence_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {Path(n).name: archive.read(n).decode() for n in archive.namelist() if "info/" in n}
    assert texts["LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "vpg = vpg.cli.main:main" in texts["entry_points.txt"]


def new_and_run(command: Path, there: Path, name: str) -> None:
    """Copy a ready-made scenario, run it, and look at what it left."""
    vpg = command / "vpg"
    where = call(command / "python", "-c", "import sim, vpg; print(*vpg.__path__)", cwd=there)
    assert Path(where.strip()).is_relative_to(command.parent)
    call(vpg, "new", name, "--out", "mine.yaml", cwd=there)
    assert (there / "mine.yaml").is_file()
    document = json.loads(call(vpg, "run", "mine.yaml", "--lang", "ja", "--json", cwd=there))
    run_dir = there / document["run_dir"]
    assert {"manifest.json", "hourly.csv", "charges.csv"} <= {p.name for p in run_dir.iterdir()}
    assert list(run_dir.rglob("*.png")) != []


def test_a_ready_made_scenario_runs_outside_the_clone(installed: Path, in_tmp: Path) -> None:
    new_and_run(installed, in_tmp, SHORT)


def test_a_ready_made_scenario_with_data_is_complete_outside_the_clone(
    installed: Path, in_tmp: Path
) -> None:
    call(installed / "vpg", "new", WITH_DATA, cwd=in_tmp)
    call(installed / "vpg", "validate", f"{WITH_DATA}.yaml", cwd=in_tmp)
    assert len(list(in_tmp.iterdir())) > 1


@pytest.mark.long
def test_it_runs_in_an_empty_environment(wheel: Path, in_tmp: Path) -> None:
    home = in_tmp / "empty"
    venv.create(home, with_pip=True, symlinks=True)
    call(home / "bin" / "python", "-m", "pip", "install", "--quiet", wheel, cwd=in_tmp)
    (in_tmp / "there").mkdir()
    new_and_run(home / "bin", in_tmp / "there", LONG)
