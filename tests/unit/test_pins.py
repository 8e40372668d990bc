"""Every dependency is pinned with hashes, and the pins name no index."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

ENTRY = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+)(?P<rest>(?: .*)?(?:\\\n    .*)+)", re.MULTILINE
)


def pins(text: str) -> dict[str, tuple[str, int]]:
    """Return each pinned name's version and number of hashes."""
    return {
        entry["name"]: (
            entry["version"],
            len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry["rest"])),
        )
        for entry in ENTRY.finditer(text)
    }


def wanted() -> list[Requirement]:
    """Return what pyproject.toml asks for: to run, to develop and to build."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    build = settings["build-system"]["requires"]
    return [Requirement(line) for line in (*project["dependencies"], *extras, *build)]


TEXT = (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("requirement", wanted(), ids=lambda r: r.name)
def test_a_dependency_is_pinned_to_a_version_it_allows(requirement: Requirement) -> None:
    version, _ = pins(TEXT)[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_every_line_is_a_pin_with_hashes() -> None:
    found = pins(TEXT)
    heads = [line for line in TEXT.splitlines() if not line.startswith("    --hash=")]
    assert len(heads) == len(found)
    assert min(hashes for _, hashes in found.values()) >= 1
