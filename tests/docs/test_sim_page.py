"""The page of the simulation names every file of it."""

from __future__ import annotations

import re

from tests.support import ROOT

SIM = ROOT / "sim"


def test_the_page_names_every_file() -> None:
    said = (SIM / "README.md").read_text(encoding="utf-8")
    cells = " ".join(re.findall(r"^\| (`[^|]+) \|", said, re.MULTILINE))
    named = set(re.findall(r"`([\w/]+\.py)`", cells))
    there = {path.name for path in SIM.rglob("*.py") if path.name != "__init__.py"}
    checks = {path.name for path in (SIM / "engine_check").glob("*.py")} - {"__init__.py"}
    assert {f"`{name.removesuffix('.py')}`" for name in checks} <= set(re.findall(r"`\w+`", said))
    assert named == there - checks
