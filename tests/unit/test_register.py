"""The register of unknowns is whole, says what the code does, and sees what a scenario chose."""

from __future__ import annotations

import dataclasses

import pytest

from scenarios import model
from scenarios.register import register
from scenarios.schema import AssumptionsPart
from tests.support_scenarios import SMALL, meant, text

ROWS = {row.id: row for row in register()}


def test_the_register_has_every_number() -> None:
    assert list(ROWS) == [f"A-{number:02d}" for number in range(1, 50)]


def test_every_field_of_the_model_is_registered_under_its_number() -> None:
    fields = {field.name for field in dataclasses.fields(model.Assumptions)}
    named = {row.field for row in register() if row.field}
    # The second threshold of A-28 shares its row.
    assert fields - named == {"a28_cut_after_bytes"}
    for row in register():
        if row.field:
            assert row.field.startswith(f"a{row.id[2:]}_")


def test_every_key_of_the_schema_is_registered_and_named_in_its_text() -> None:
    keys = {row.key: row.id for row in register() if row.key}
    keys["assumptions.cut_after_bytes"] = "A-28"
    for name, info in AssumptionsPart.model_fields.items():
        assert (info.description or "").startswith(f"{keys[f'assumptions.{name}']}: ")


def test_a_scenario_that_says_nothing_has_every_default() -> None:
    scenario = meant(SMALL)
    assert {row.id: row.chosen(scenario) for row in register()} == {
        row.id: row.default for row in register()
    }


@pytest.mark.parametrize(
    ("number", "tail", "chosen"),
    [
        ("A-01", "assumptions: {line_cap: assigned_sims}", "assigned_sims"),
        ("A-16", "assumptions: {idle_timeout_s: 0.5}", "0.5 s"),
        ("A-18", "assumptions: {session_setup_per_s: 7}", "7"),
        ("A-28", "assumptions: {cut_after_s: 60, cut_after_bytes: 9}", "60 s, 9 bytes"),
        ("A-35", "assumptions: {mirror_throttled: false}", "false"),
    ],
)
def test_a_choice_under_assumptions_is_seen(number: str, tail: str, chosen: str) -> None:
    scenario = meant(text(tail=f"{tail}\n"))
    assert ROWS[number].chosen(scenario) == chosen
    others = [row for row in register() if row.id != number]
    assert all(row.chosen(scenario) == row.default for row in others)


@pytest.mark.parametrize(
    ("number", "line", "chosen"),
    [
        ("A-04", "limiter: {kind: fixed_window}", "fixed_window"),
        ("A-04", "limiter: {burst_requests: 5}", "token_bucket, burst 5 requests"),
        ("A-04", "limiter: {above: queue, queue_deadline_s: 2}",
         "token_bucket, burst 1 s, queue up to 2 s"),
        ("A-20", "junction: {mirroring: {peers: [{ip: 10.0.0.1, loss_percent: 1}]}}",
         "1 peers, loss up to 10000 ppm"),
        ("A-22", "upstream: {timeout_s: 5, failure_percent: 1}", "timeout 5 s, failures 10000 ppm"),
    ],
)  # fmt: skip
def test_a_choice_of_a_vpg_is_seen(number: str, line: str, chosen: str) -> None:
    scenario = meant(text(("size: small", f"size: small\n    {line}")))
    assert ROWS[number].chosen(scenario) == chosen


def test_vpgs_that_differ_are_told_apart() -> None:
    other = "{id: other, type: C, size: small, limiter: {kind: fixed_window}}"
    scenario = meant(text(("fleets:", f"  - {other}\nfleets:")))
    assert ROWS["A-04"].chosen(scenario) == "gate: token_bucket, burst 1 s; other: fixed_window"
