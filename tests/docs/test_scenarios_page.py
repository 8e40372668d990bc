"""The page on scenario files: its file loads, and no key of the schema is missing from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scenarios.loader import load_scenario
from scenarios.schema import json_schema
from tests.support import ROOT
from vpg.catalogue.load import load_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.model import Fleet

PAGE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")


def keys(schema: Any) -> Iterator[str]:
    """Yield every key that a scenario file can have."""
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from properties
        for name, part in schema.items():
            if name not in {"default", "examples"}:
                yield from keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from keys(part)


def shown() -> str:
    found = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found.group(1)


def test_every_key_of_the_schema_is_on_the_page() -> None:
    missing = {key for key in keys(json_schema()) if not re.search(rf"\b{key}\b", PAGE)}
    assert missing == set()


def test_the_file_of_the_page_loads_and_so_does_its_variant() -> None:
    catalogue = load_catalogue()
    plain = load_scenario(shown(), catalogue=catalogue)
    peak = load_scenario(shown(), catalogue=catalogue, variant="peak")
    assert _lines(plain.fleets) == [100, 50]
    assert _lines(peak.fleets) == [200, 50]
    assert [vpg.size for vpg in peak.vpgs] == ["large"]


def _lines(fleets: tuple[Fleet, ...]) -> list[int]:
    return [fleet.lines for fleet in fleets]
