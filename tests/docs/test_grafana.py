"""The dashboard names metrics and labels that ``/metrics`` has, and nothing else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import ROOT
from tests.support_serve import serving

if TYPE_CHECKING:
    from pathlib import Path

DASHBOARD = ROOT / "docs" / "grafana" / "vpg.json"
METRIC = re.compile(r"\bvpg_(?!id\b)\w+")


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return read


def expressions(dashboard: dict[str, Any]) -> list[str]:
    variables = [one["query"]["query"] for one in dashboard["templating"]["list"][1:]]
    return [
        target["expr"] for panel in dashboard["panels"] for target in panel["targets"]
    ] + variables


def test_every_metric_and_label_of_the_dashboard_exists(
    dashboard: dict[str, Any], tmp_path: Path
) -> None:
    with serving(tmp_path, "--no-entry") as one:
        text = httpx.get(f"{one.url()}/metrics").text
    known = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert len(known) > 30
    for expression in expressions(dashboard):
        named = METRIC.findall(expression)
        assert named, expression
        assert set(named) <= set(known), expression
        for name in named:
            assert ("vpg_id" in known[name]) == (f"{name}{{" in expression or "label" in expression)
    legends = {
        (name, label)
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in METRIC.findall(target["expr"])
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
    }
    assert {(name, label) for name, label in legends if label not in known[name]} == set()


def test_panels_lie_side_by_side(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
