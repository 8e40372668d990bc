"""Options of the importers, and writing what they made: whole or not at all."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from scenarios.importers.options import (
    AirOptions,
    BeamOptions,
    DemandOptions,
    ImportOptions,
    LinesOptions,
    UsageOptions,
)
from scenarios.importers.result import Imported, write_import
from tests.support_import import told
from vpg.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MADE = Imported(
    name="made",
    scenario_yaml="vpgsim: 1\n",
    extra_files={"made.curve.csv": b"1\r\n"},
    problems=[],
    counts={},
)


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_files_are_written_with_the_scenario_last(tmp_path: Path) -> None:
    paths = write_import(MADE, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["made.curve.csv", "made.yaml"]
    assert listing(tmp_path / "new" / "folder") == MADE.files()


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "made.yaml").write_text("mine")
    with pytest.raises(InputError) as caught:
        write_import(MADE, tmp_path)
    assert told(caught.value.problems) == [("VPG1360", 0)]
    assert listing(tmp_path) == {"made.yaml": b"mine"}
    write_import(MADE, tmp_path, force=True)
    assert listing(tmp_path) == MADE.files()


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "made.yaml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        write_import(MADE, tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        write_import(MADE, tmp_path / "file" / "under")
    assert told(caught.value.problems) == [("VPG1361", 0)]
    # The second rename fails: a folder stands where the scenario must go.
    (tmp_path / "out" / "made.yaml").mkdir(parents=True)
    with pytest.raises(InputError) as caught:
        write_import(MADE, tmp_path / "out", force=True)
    assert told(caught.value.problems) == [("VPG1361", 0)]
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (ImportOptions(name="../up"), "--name"),
        (ImportOptions(name="Upper"), "--name"),
        (ImportOptions(vpg_type="X"), "--vpg-type"),
        (ImportOptions(size="huge"), "--size"),
        (ImportOptions(seed=-1), "--seed"),
        (ImportOptions(days=0), "--days"),
        (ImportOptions(days=401), "--days"),
        (ImportOptions(problems_max=0), "--problems-max"),
        (ImportOptions(start=dt.datetime(2026, 4, 1)), "--start"),  # noqa: DTZ001 - the mistake
        (LinesOptions(service="harvest"), "--service"),
        (LinesOptions(every_s=0), "--every-s"),
        (LinesOptions(payload_bytes=-1), "--payload-bytes"),
        (UsageOptions(up_percent=101), "--up-percent"),
        (AirOptions(packets_per_message=0), "--packets-per-message"),
        (BeamOptions(answer_bytes=10**9 + 1), "--answer-bytes"),
        (DemandOptions(scale=Decimal("NaN")), "--scale"),
        (DemandOptions(scale=Decimal("inf")), "--scale"),
        (DemandOptions(scale=Decimal(0)), "--scale"),
        (DemandOptions(scale=Decimal(-1)), "--scale"),
        (DemandOptions(lines=0), "--lines"),
        (DemandOptions(first=dt.date(2026, 4, 2), until=dt.date(2026, 4, 2)), "--until"),
        (DemandOptions(start=dt.datetime(2026, 4, 1, tzinfo=dt.UTC)), "--start"),
    ],
)
def test_an_impossible_option_is_a_usage_error_that_names_it(
    options: ImportOptions, named: str
) -> None:
    with pytest.raises(UsageError) as caught:
        options.check()
    assert caught.value.problem.path == named
    assert told([caught.value.problem]) == [("VPG1352", 0)]
