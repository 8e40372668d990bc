"""``--json``: exactly one closed, versioned document on stdout, the same in every language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from reports.document import Summary
from tests.support_cli import masked, vpg
from vpg.cli import documents

if TYPE_CHECKING:
    from pathlib import Path

DEMAND = "timestamp,value\n2026-01-01 00:00:00,1\n2026-01-01 00:30:00,2\n"
CASES: dict[str, tuple[tuple[str, ...], type[msgspec.Struct]]] = {
    "run": (("run", "smallest", "--no-charts"), Summary),
    "sweep": (
        ("sweep", "smallest", "--no-charts", "--workers", "1", "--over", "seed=1,2"),
        documents.SweepDocument,
    ),
    "validate": (("validate", "smallest"), documents.ValidateDocument),
    "new": (("new", "smallest", "--force"), documents.NewDocument),
    "list": (("new", "--list"), documents.NewDocument),
    "catalogue": (("catalogue",), documents.CatalogueDocument),
    "import": (
        ("import", "demand", "demand.csv", "--tz", "Asia/Tokyo", "--force"),
        documents.ImportDocument,
    ),
    "schema": (("schema",), documents.SchemaDocument),
    "errors": (("errors",), documents.ErrorsDocument),
    "usage error": (("run",), documents.ErrorDocument),
    "input error": (("run", "smallest", "--set", "seed=x"), documents.ErrorDocument),
}


@pytest.mark.parametrize("name", CASES)
def test_one_closed_document_first_of_all_its_version(name: str, in_tmp: Path) -> None:
    words, kind = CASES[name]
    (in_tmp / "demand.csv").write_text(DEMAND, encoding="utf-8")
    english, japanese = (vpg(*words, "--json", "--lang", lang) for lang in ("en", "ja"))
    msgspec.json.decode(english.out, type=kind)  # unknown and missing fields are refused
    document = json.loads(english.out)
    assert next(iter(document)) == "schema_version"
    assert masked(english.out, in_tmp) == masked(japanese.out, in_tmp)
    assert english.code == japanese.code


def test_a_run_document_answers_what_a_program_asks(in_tmp: Path) -> None:
    document = json.loads(vpg("run", "smallest", "--no-charts", "--json").out)
    wanted = {"scenario", "run_dir", "verdict", "totals", "per_vpg", "charges", "objectives"}
    assert wanted | {"digest", "charges_digest"} <= set(document)
    assert {"tax_excluded_yen", "tax_yen", "tax_included_yen"} <= set(document["charges"])
    kept = in_tmp / document["run_dir"] / "summary.json"
    assert json.loads(kept.read_text(encoding="utf-8")) == document
    assert json.loads(vpg("show", document["run_dir"], "--json").out) == document


def test_an_error_document_names_code_place_path_and_message(in_tmp: Path) -> None:
    (in_tmp / "bad.yaml").write_text("vpgsim: 1\nname: x\nvpgs: 3\n", encoding="utf-8")
    answer = vpg("validate", "bad.yaml", "--json", "--lang", "ja")
    error = json.loads(answer.out)["error"]
    assert error["exit_code"] == answer.code == 3
    assert len(error["problems"]) > 1, "all at once"
    assert any(p["place"].startswith("bad.yaml:3:") for p in error["problems"])
    assert [p["code"] for p in error["problems"]] == answer.numbers
    assert all(set(p) == {"code", "place", "path", "message"} for p in error["problems"])


def test_schema_and_catalogue_files_are_what_their_programs_expect(in_tmp: Path) -> None:
    schema = json.loads(vpg("schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert vpg("schema", "--out", "s.json").code == 0
    assert json.loads((in_tmp / "s.json").read_text(encoding="utf-8")) == schema
    lines = vpg("catalogue", "--csv", "--type", "C", "--at", "2026-04-01").out.splitlines()
    assert lines[0].startswith("section,item,value,unit,effective_from,")
    assert any(line.startswith("price,vpg_c_small,50,yen/h,") for line in lines)
    assert not any("vpg_d_small" in line for line in lines)
