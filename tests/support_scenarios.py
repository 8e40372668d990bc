"""Scenario texts as tests write them: the smallest file, changed in one place."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from scenarios.loader import load_scenario
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.model import Scenario
    from vpg.catalogue.model import Catalogue

SMALL = """\
vpgsim: 1
name: case
start: 2026-04-01T09:00:00+09:00
duration_h: 2
vpgs:
  - id: gate
    type: C
    size: small
fleets:
  - name: meters
    vpg: gate
    lines: 10
    traffic:
      - kind: periodic
        every_s: 60
"""


@functools.cache
def catalogue() -> Catalogue:
    """Return the shipped catalogue, read once."""
    return load_catalogue()


def text(*changes: tuple[str, str], tail: str = "") -> str:
    """Return ``SMALL`` with each ``(old, new)`` put in once, and ``tail`` behind it."""
    whole = SMALL
    for old, new in changes:
        assert whole.count(old) >= 1, old
        whole = whole.replace(old, new, 1)
    return whole + tail


def meant(whole: str, *sets: str, variant: str | None = None) -> Scenario:
    """Return what the text means."""
    return load_scenario(whole, catalogue=catalogue(), sets=sets, variant=variant)


def problems(source: Path | str, *sets: str, variant: str | None = None) -> list[Problem]:
    """Return what is wrong with the file or text; it must be refused."""
    with pytest.raises(InputError) as caught:
        load_scenario(source, catalogue=catalogue(), sets=sets, variant=variant)
    return caught.value.problems


def codes(source: Path | str, *sets: str, variant: str | None = None) -> list[str]:
    """Return the numbers of what is wrong, in order."""
    return [problem.code for problem in problems(source, *sets, variant=variant)]
