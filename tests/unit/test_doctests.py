"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.support import ROOT

PACKAGES = ("vpg", "scenarios", "sim", "loadtests", "reports")


def modules() -> list[str]:
    """Return the shipped modules with an example in them."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if ">>> " in path.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("name", modules())
def test_a_docstrings_examples_are_true(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name), report=True)
    assert done.attempted > 0
    assert done.failed == 0
