"""``vpg new``: nothing of the person's is overwritten; what is ours is kept up to date."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scenarios.new import SCHEMA_FILE, ready_files
from tests.support_cli import vpg
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = ready_files("smallest")[SCHEMA_FILE]
OLDER = json.dumps({**json.loads(SCHEMA), "description": "of an earlier version"}).encode()


def test_the_schema_of_an_earlier_version_is_refreshed(in_tmp: Path) -> None:
    (in_tmp / SCHEMA_FILE).write_bytes(OLDER)
    for words in (("new", "smallest"), ("schema", "--out", SCHEMA_FILE)):
        assert vpg(*words).code == ExitCode.OK
        assert json.loads((in_tmp / SCHEMA_FILE).read_bytes()) == json.loads(SCHEMA)


@pytest.mark.parametrize(
    "theirs",
    [b"", b"[1]", b"{}", b'{"title": "ScenarioFile"}', b'{"title": "Mine", "properties": {}}'],
)
def test_a_file_of_that_name_that_is_not_ours_stays(theirs: bytes, in_tmp: Path) -> None:
    (in_tmp / SCHEMA_FILE).write_bytes(theirs)
    answer = vpg("new", "smallest")
    assert (answer.code, answer.numbers) == (ExitCode.INVALID_INPUT, ["VPG1022"])
    assert {path.name: path.read_bytes() for path in in_tmp.iterdir()} == {SCHEMA_FILE: theirs}


@pytest.mark.parametrize("content", [b"vpgsim: 1\n", SCHEMA])
def test_the_scenario_is_never_replaced_without_force(content: bytes, in_tmp: Path) -> None:
    (in_tmp / SCHEMA_FILE).write_bytes(OLDER)
    (in_tmp / "mine.yaml").write_bytes(content)
    answer = vpg("new", "smallest", "--out", "mine.yaml")
    assert (answer.code, answer.numbers) == (ExitCode.INVALID_INPUT, ["VPG1022"])
    assert (in_tmp / "mine.yaml").read_bytes() == content
    assert (in_tmp / SCHEMA_FILE).read_bytes() == OLDER
    assert vpg("new", "smallest", "--out", "mine.yaml", "--force").code == ExitCode.OK


def test_quiet_says_nothing_and_writes_all_the_same(in_tmp: Path) -> None:
    (in_tmp / "demand.csv").write_text(
        "timestamp,value\n2026-01-01 00:00:00,1\n2026-01-01 00:30:00,2\n", encoding="utf-8"
    )
    for words in (("new", "smallest"), ("import", "demand", "demand.csv", "--tz", "Asia/Tokyo")):
        before = set(in_tmp.iterdir())
        answer = vpg(*words, "-q")
        assert (answer.code, answer.out, answer.err) == (ExitCode.OK, "", "")
        assert set(in_tmp.iterdir()) > before
