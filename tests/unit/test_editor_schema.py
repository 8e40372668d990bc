"""The JSON Schema that editors use agrees with what we ship, by another validator's reading."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from scenarios.new import ready_names, ready_text
from tests.support import ROOT

SCHEMA = json.loads((ROOT / "scenarios" / "schema.json").read_text(encoding="utf-8"))
SMALLEST = "smallest"


def as_json(value: Any) -> Any:
    """Return a YAML value as an editor hands it to the schema: dates are text there."""
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [as_json(part) for part in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def document(name: str) -> Any:
    """Return the ready-made scenario ``name`` as plain JSON values."""
    return as_json(YAML(typ="safe", pure=True).load(ready_text(name)))


def complaints(value: Any) -> list[str]:
    """Return where the schema refuses ``value``."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [error.json_path for error in validator.iter_errors(value)]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ready_names())
def test_a_ready_made_scenario_is_valid_in_an_editor(name: str) -> None:
    assert complaints(document(name)) == []


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("vpgz", [], "$"),
        ("duration_h", "one", "$.duration_h"),
        ("vpgs", [{"id": "gate", "type": "C", "size": "larg"}], "$.vpgs[0].size"),
        ("fleets", [{"name": "sensors", "vpg": "gate", "lines": -1}], "$.fleets[0].lines"),
    ],
)
def test_a_mistake_is_marked_in_an_editor(key: str, value: Any, where: str) -> None:
    assert where in complaints({**document(SMALLEST), key: value})
