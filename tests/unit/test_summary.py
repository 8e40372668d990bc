"""The summary document: closed, versioned, its JSON Schema, its way to the disk and back.

After a wanted change of its shape: ``UPDATE_GOLDEN=1 python -m pytest tests/unit/test_summary.py``.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest

from reports.document import Summary, json_schema
from reports.summary import FILE_NAME, encode, read_summary
from scenarios.register import register
from tests.support import ROOT
from tests.support_reports import judged_as, meters, quiet, summary_of
from vpg.errors import InputError
from vpg.text import render

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_FILE = ROOT / "reports" / "summary.schema.json"


@pytest.fixture(scope="module")
def document() -> Summary:
    return summary_of([meters(), quiet()])


def test_the_committed_schema_is_the_one_of_the_code() -> None:
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        SCHEMA_FILE.write_text(text, encoding="utf-8")
    assert SCHEMA_FILE.read_text(encoding="utf-8") == text


def test_every_object_of_the_schema_is_closed() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    objects = [one for one in json_schema()["$defs"].values() if one["type"] == "object"]
    assert len(objects) > 10
    assert all(one["additionalProperties"] is False for one in objects)


def test_a_document_is_valid_and_a_changed_one_is_not(document: Summary) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    plain: dict[str, Any] = json.loads(encode(document))
    validator.validate(plain)
    for change in ({"more": 1}, {"schema_version": "vpgsim-summary-v2"}, {"attempts": "many"}):
        assert not validator.is_valid(plain | change)


def test_the_version_comes_first_and_a_line_feed_last(document: Summary) -> None:
    assert encode(document).startswith(b'{\n  "schema_version": "vpgsim-summary-v1",')
    assert encode(document).endswith(b"}\n")


def test_money_and_totals_are_the_accounts(document: Summary) -> None:
    # Two Type-C Small for 24 hours and two contract fees; tax 10 %.
    assert document.charges.tax_excluded_yen == 2 * (24 * 50 + 980)
    assert document.charges.tax_included_yen == 4796
    assert document.charges.tax_yen == 436
    assert document.charges.complete
    assert [month.month for month in document.charges.months] == ["202604"]
    assert [vpg.tax_excluded_yen for vpg in document.per_vpg] == ["2180", "2180"]
    assert document.attempts == 48 * 3_820 + sum(12 + i % 7 for i in range(1440))
    assert document.totals.throttled.beam == 48 * 3_700
    assert document.totals.lines_peak == 1000
    assert [(vpg.lines_max, vpg.rate_per_s) for vpg in document.per_vpg] == [(1000, 30)] * 2


def test_an_unpriced_type_is_incomplete_and_never_zero_in_silence() -> None:
    document = summary_of([quiet("e", type="E", size="", hours=6)], hours=6)
    assert not document.charges.complete
    assert not document.per_vpg[0].charges_complete
    items = document.charges.months[0].items
    assert [(one.bill_item, one.amount_yen) for one in items] == [
        ("contract_fee_e", None),
        ("vpg_e", None),
    ]


@pytest.mark.parametrize(
    ("met", "status", "verdict"),
    [
        ((True, True), "complete", "holds"),
        ((True, False), "complete", "fails"),
        ((), "complete", "no_objectives"),
        ((True,), "partial", "partial"),
        ((False,), "partial", "partial"),
    ],
)
def test_the_verdict(met: tuple[bool, ...], status: str, verdict: str) -> None:
    objectives = [judged_as(met=one) for one in met]
    document = summary_of([quiet(hours=1)], hours=1, objectives=objectives, status=status)
    assert document.verdict == verdict


def test_every_assumption_of_the_register_is_listed(document: Summary) -> None:
    assert [one.id for one in document.assumptions] == [one.id for one in register()]
    assert all(one.is_default for one in document.assumptions)


def test_a_summary_is_read_back_as_it_was(document: Summary, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(encode(document))
    assert read_summary(tmp_path) == document


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "VPG1501"),
        (b"", "VPG1502"),
        (b"{}", "VPG1502"),
        (b"\xff\xfe", "VPG1502"),
        (b'{"schema_version": "vpgsim-summary-v9"}', "VPG1502"),
        (b"[" * 100_000, "VPG1502"),
    ],
)
def test_what_is_no_summary_is_refused(content: bytes | None, code: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_summary(tmp_path)
    (problem,) = refused.value.problems
    assert problem.code == code
    assert all(str(tmp_path) in render(problem, lang) for lang in ("en", "ja"))


def test_the_document_cannot_be_changed(document: Summary) -> None:
    with pytest.raises(AttributeError):
        document.attempts = 0  # type: ignore[misc]
    assert msgspec.structs.replace(document, attempts=0).attempts == 0


@pytest.mark.parametrize("met", [True, False])
def test_a_smaller_vpg_is_never_advised_when_an_objective_failed(met: bool) -> None:
    gateway = quiet(size="large", hours=1)
    document = summary_of([gateway], hours=1, objectives=[judged_as(met=met)])
    advised = {advice.kind for advice in document.findings.advice}
    assert ("smaller_size" in advised) == met
