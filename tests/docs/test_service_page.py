"""docs/service.md run as it stands, on free ports: what it shows is what is said."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.docs.test_examples import BLOCK, says
from tests.support import ROOT
from tests.support_serve import serving
from vpg.cli import serving_values
from vpg.service.check import AHEAD_US
from vpg.service.plan import PORTS
from vpg.service.values import GRE_IN_UDP_PORT, Bounds
from vpg.timebase import MINUTE_US

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support_serve import Serving

PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    """Return the blocks of the page that show commands, in order."""
    return [block.group(2) for block in BLOCK.finditer(PAGE)]


def commands(block: str) -> list[tuple[str, list[str]]]:
    """Return (command, lines shown below it) of a block."""
    found = []
    for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        found.append((line, [one for one in shown.splitlines() if one.strip()]))
    return found


def plain(line: str) -> str:
    """Return ``line`` with its spaces evened out."""
    return " ".join(line.split())


def moved(text: str, one: Serving) -> str:
    """Return ``text`` with the page's ports replaced by those that are bound."""
    for name, port in PORTS.items():
        text = text.replace(f":{port}", f":{one.port(name)}").replace(
            f"-p {port}", f"-p {one.port(name)}"
        )
    return text


def test_the_page_says_what_happens(tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("mosquitto_pub") is None:
        pytest.skip("curl or mosquitto_pub is not installed")
    ((start, announced),), *rest = (commands(block) for block in blocks())
    assert start == "vpg serve --scenario smart-meters"
    ran = 0
    with serving(tmp_path, scenario="smart-meters") as one:
        time.sleep(1.1)  # whole seconds of `date` must be later than the VPG
        for command, shown in (pair for block in rest for pair in block):
            done = subprocess.run(
                ["bash", "-c", moved(command, one)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (command, done.stderr)
            assert [line for line in shown if not says(done.stdout, plain(line))] == [], (
                command,
                done.stdout,
            )
            ran += 1
        assert one.end() == 143
        assert [line for line in announced if not says(one.out, plain(moved(line, one)))] == []
    assert ran > 8


def test_every_operation_of_the_page_exists_and_none_is_missing(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-entry") as one:
        paths = httpx.get(f"{one.url()}/openapi.json").json()["paths"]
    table = PAGE[PAGE.index("## The API") : PAGE.index("## Counting once")]
    for path in paths:
        assert f"{path}`" in table, path


def test_figures_of_the_page_are_those_of_the_code() -> None:
    bounds = Bounds()
    for figure in (
        f"{bounds.entry_body_bytes:,} B",
        f"{bounds.beam_body_bytes // 1024} KiB",
        f"{bounds.body_bytes // 1024} KiB",
        f"{bounds.header_bytes // 1024} KiB and {bounds.headers} of them",
        f"within {bounds.header_s:.0f} s",
        f"within {bounds.body_s:.0f} s",
        f"idle connections {bounds.idle_s:.0f} s",
        f"{bounds.batch_events} at most",
        f"{bounds.pending_events:,} events",
        f"{bounds.connections:,}",
        f"{bounds.drain_s:.0f} s at most",
        f"{AHEAD_US // MINUTE_US} minutes ahead",
        f"port {GRE_IN_UDP_PORT}",
        *(f"`{name}`" for name in PORTS),
        f"| {serving_values.address(0)} | {serving_values.address(2_499)} |",
        f"| {serving_values.sim_id(0)} | {serving_values.sim_id(2_499)} |",
        f"| {serving_values.imsi(0)} | {serving_values.imsi(2_499)} |",
    ):
        assert figure in PAGE, figure
