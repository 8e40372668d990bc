"""``vpg import``: five kinds of files become scenarios that run; nothing is dropped unseen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support_cli import vpg
from tests.support_import import AIR_HEADER, LINE_HEADER, USAGE_HEADER, line_row, usage_row
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "lines": f"{LINE_HEADER}\r\n{line_row(1)}\r\n{line_row(2, '中断中')}\r\n".encode("cp932"),
    "usage": f"{USAGE_HEADER}\r\n{usage_row(1, [900_000] * 7)}\r\n".encode(),
    "air": f"{AIR_HEADER}\n1,20260401,s1.fast,2400,480,4800,9\n".encode(),
    "beam": b"imsi,date,soracomBeamType,count\n1,20260401,inHttp,240\n",
    "demand": b"timestamp,value\n2026-01-01 00:00:00,10\n2026-01-01 00:30:00,20\n",
}
OPTIONS = {"demand": ("--tz", "Asia/Tokyo"), "usage": ("--days", "1")}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_imported_runs(kind: str, in_tmp: Path) -> None:
    (in_tmp / "given.csv").write_bytes(FILES[kind])
    words = ("import", kind, "given.csv", "--out", "plan", "--name", "mine")
    answer = vpg(*words, *OPTIONS.get(kind, ()), "--json")
    assert answer.code == ExitCode.OK, answer.err
    document = json.loads(answer.out)
    assert document["scenario_file"] == "plan/mine.yaml"
    assert sorted(document["files"]) == sorted(
        f"plan/{p.name}" for p in (in_tmp / "plan").iterdir()
    )
    counts = document["counts"]
    parts = ("rows_used", "rows_bad", "rows_outside", "rows_blank")
    assert counts["rows_read"] == sum(counts[part] for part in parts) > 0
    ran = vpg("run", "plan/mine.yaml", "--no-charts", "--json", "--set", "duration_h=1")
    assert ran.code == ExitCode.OK, ran.err
    assert json.loads(ran.out)["status"] == "complete"


def test_a_second_import_overwrites_only_when_told(in_tmp: Path) -> None:
    (in_tmp / "given.csv").write_bytes(FILES["beam"])
    words = ("import", "beam", "given.csv", "--name", "mine")
    assert vpg(*words).code == ExitCode.OK
    (in_tmp / "mine.yaml").write_text("precious", encoding="utf-8")
    refused = vpg(*words)
    assert (refused.code, refused.numbers) == (ExitCode.INVALID_INPUT, ["VPG1360"])
    assert (in_tmp / "mine.yaml").read_text(encoding="utf-8") == "precious"
    assert vpg(*words, "--force").code == ExitCode.OK
    assert "precious" not in (in_tmp / "mine.yaml").read_text(encoding="utf-8")


def test_bad_rows_are_told_by_line_and_counted(in_tmp: Path) -> None:
    rows = [line_row(1), line_row(2, "謎"), line_row(3)]
    (in_tmp / "given.csv").write_text("\n".join([LINE_HEADER, *rows, ""]), encoding="utf-8")
    answer = vpg("import", "lines", "given.csv")
    assert answer.code == ExitCode.OK
    assert "given.csv:3:" in answer.err
    assert "rows_bad 1" in answer.err
    strict = vpg("import", "lines", "given.csv", "--strict", "--force")
    assert strict.code == ExitCode.INVALID_INPUT
