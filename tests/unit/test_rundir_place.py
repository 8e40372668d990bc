"""Where a run directory goes: probed before the simulation, swept of what killed runs left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from tests.support_cli import vpg
from tests.support_rating import APRIL_2026_US
from vpg import rundir
from vpg.errors import ExitCode, InputError, VpgError
from vpg.rundir import Disk, RunDirError, RunDirWriter, remove_abandoned

if TYPE_CHECKING:
    from pathlib import Path

KILLED = f"""
import os, signal, sys
from pathlib import Path
from vpg.rundir import RunDirWriter

with RunDirWriter(
    parent=Path(sys.argv[1]), scenario="taxi", started_us={APRIL_2026_US}, identity="x"
) as run:
    run.write_text("a", "half")
    print(run.folder.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def writer(parent: Path, disk: Disk | None = None) -> RunDirWriter:
    return RunDirWriter(
        parent=parent, scenario="taxi", started_us=APRIL_2026_US, identity="x", disk=disk
    )


def killed_run(parent: Path) -> str:
    """Let a process die while it writes; return the name of what it left in ``parent``."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(parent)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.strip()


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("out", [".", "runs", "a/b/runs", "a/../b/runs", "../below/runs"])
def test_a_probe_leaves_nothing_and_asks_for_what_the_writer_does(out: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    writer(base / out).probe()
    assert everything_in(tmp_path) == ["base"]
    with writer(base / out) as run:
        run.finish({})


@pytest.mark.parametrize("name", ["n" * 300, "file", "file/runs", "dangling", "dangling/runs"])
def test_a_probe_refuses_what_the_writer_would(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = everything_in(tmp_path)
    for attempt in (writer(tmp_path / name).probe, writer(tmp_path / name).__enter__):
        with pytest.raises(InputError, match="VPG1451"):
            attempt()
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.EACCES, InputError), (errno.ENOSPC, RunDirError)]
)
def test_a_disk_that_refuses_is_told_before_the_simulation(
    code: int, kind: type[VpgError], in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_disk: Disk, path: Path, *, parents: bool = False) -> None:
        raise OSError(code, os.strerror(code), str(path), parents)

    def simulated(*_: object, **__: object) -> None:
        pytest.fail("it simulated first")

    monkeypatch.setattr(Disk, "make_dir", refuse)
    monkeypatch.setattr("sim.run.simulate", simulated)
    with pytest.raises(kind):
        writer(in_tmp / "runs").probe()
    answer = vpg("run", "smallest", "--no-charts", "--out", "locked/runs")
    assert answer.code in {ExitCode.INVALID_INPUT, ExitCode.PARTIAL}
    assert answer.numbers == ["VPG1451" if kind is InputError else "VPG1452"]
    assert everything_in(in_tmp) == []


def test_what_a_killed_run_left_goes_with_the_next_run(in_tmp: Path) -> None:
    left = killed_run(in_tmp / "runs")
    assert everything_in(in_tmp) == ["runs", f"runs/{left}", f"runs/{left}/a"]
    answer = vpg("run", "smallest", "--no-charts", "--quiet")
    assert (answer.code, answer.err) == (ExitCode.OK, "")
    assert [str(path.relative_to(in_tmp)) for path in (in_tmp / "runs").iterdir()] == [
        answer.out.strip()
    ]


def test_only_our_own_dead_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = killed_run(tmp_path)
    host, pid = dead.split(".")[2:4]
    kept = {
        dead.replace(f".{pid}.", f".{os.getpid()}."),  # alive
        dead.replace(host, "0" * 8),  # of another machine: nobody here knows
        dead.removeprefix("."),
        ".mine.writing",
        "taxi-20260401T000000Z-2d711642",
    }
    for name in kept:
        (tmp_path / name).mkdir()
    # The number of a living process that is not ours to signal.
    monkeypatch.setattr(os, "kill", _not_permitted)
    remove_abandoned(tmp_path)
    assert (tmp_path / dead).exists()
    monkeypatch.undo()
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
    remove_abandoned(tmp_path / "none")


def _not_permitted(_pid: int, _signum: int) -> None:
    raise PermissionError


def test_where_asking_would_harm_nothing_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = killed_run(tmp_path)
    monkeypatch.setattr(rundir, "_CAN_ASK", False)
    remove_abandoned(tmp_path)
    assert (tmp_path / dead).exists()
