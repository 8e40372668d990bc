"""The command says which file hides one of our packages, and stops."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support import ROOT
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path


def test_a_sim_of_the_users_is_named_instead_of_a_traceback(in_tmp: Path) -> None:
    planted = in_tmp / "sim.py"
    planted.write_text("raise RuntimeError('the wrong sim')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "vpg.cli.main", "run", "smart-meters"],
        env={**os.environ, "PYTHONPATH": f"{in_tmp}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (ExitCode.INVALID_INPUT, "")
    assert f"{planted} VPG1001 " in done.stderr.replace("\n", " ")
    assert not (in_tmp / "runs").exists()
