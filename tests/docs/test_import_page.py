"""The worked example of the page on imports, with its file: it says what the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "import.md").read_text(encoding="utf-8")
VPG = (sys.executable, "-m", "vpg.cli.main")


def block(kind: str) -> str:
    found = re.search(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found.group(1)


def test_the_worked_example_does_what_the_page_says(in_tmp: Path) -> None:
    (in_tmp / "orders.csv").write_text(block("csv"))
    told = ""
    for line in block("console").splitlines():
        words = shlex.split(line)[2:]
        done = subprocess.run(
            [*VPG, *words, "--lang", "en"],
            cwd=in_tmp,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told += done.stderr
    assert {path.name for path in in_tmp.glob("orders*")} == {
        "orders.csv",
        "orders.yaml",
        "orders.curve.csv",
    }
    assert re.findall(r"orders\.csv:(\d+):\d+ (VPG\d+)", told) == [
        ("4", "VPG1338"),
        ("5", "VPG1338"),
        ("7", "VPG1321"),
        ("8", "VPG1335"),
    ]
    assert "rows_read 7" in told
    assert "rows_used 6" in told
