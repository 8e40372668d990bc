"""A run directory is there whole or not at all, and reads back as it was written."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tests.support_rating import APRIL_2026_US, hour_row
from vpg.billing.month import month_to_date
from vpg.catalogue.load import load_catalogue
from vpg.errors import EnsureError, ExitCode, InputError, VpgError
from vpg.rating.charges import ChargePolicy, rate_hours
from vpg.rating.hourly import key_of
from vpg.results import ControlNote, MinuteRow
from vpg.rundir import OWN_FILES, Disk, RunDirError, RunDirWriter, read_run
from vpg.runtables import CHARGES, HOURLY, MONTH_TO_DATE, from_parquet, to_parquet
from vpg.text import LANGS, render
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    hour_row(1, bytes_up=2**62),
    hour_row(0, one_off="contract_fee_c", type="F2", size="", vpg_id="東京"),
]
CHARGED = rate_hours(ROWS, load_catalogue(), ChargePolicy())
DELAYS = {key_of(ROWS[0]): {0: 3, 700: 1}, key_of(ROWS[1]): {5: 2}}
MINUTES = [
    MinuteRow(
        vpg_id="vpg-1",
        minute_start_us=APRIL_2026_US + k,
        attempts=9,
        accepted=5,
        throttled=4,
        busiest_second_us=APRIL_2026_US,
        rate_peak_per_s=7,
        attach_attempts=1,
        sessions_refused=0,
        lines_peak=3,
    )
    for k in (60_000_000, 0)
]
NOTES = [
    ControlNote(at_us=APRIL_2026_US, kind="Recreate", vpg_id="東京", details=(("size", "大"),))
]


MANIFEST_OF = (
    '{{"schema_version": "vpgsim-run-v1", "status": "partial",'
    ' "files": {{"{}": {{"sha256": ""}}}}}}'
)


def write_run(parent: Path, disk: Disk | None = None, **finish: Any) -> Path:
    """Write one small run with every kind of file."""
    with RunDirWriter(
        parent=parent, scenario="taxi", started_us=APRIL_2026_US, identity="x", disk=disk
    ) as run:
        run.write_hourly(ROWS)
        run.write_charges(CHARGED)
        run.write_delays(DELAYS)
        run.write_peaks(MINUTES)
        run.write_events(NOTES)
        run.write_json("summary.json", {"verdict": "holds", "円": 1})
        run.write_text("scenario.yaml", "name: 東京\r\n")
        run.path("chart.png").write_bytes(b"\x89PNG")
        return run.finish({"seed": 7}, **finish)


def write_then_raise(parent: Path, error: BaseException) -> None:
    """Begin a run and fail in the middle of it."""
    with RunDirWriter(parent=parent, scenario="x", started_us=0, identity="") as run:
        run.write_hourly(ROWS)
        raise error


def left_in(folder: Path) -> list[str]:
    """Return every name under ``folder``, hidden ones too."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    place = write_run(tmp_path / "runs")
    assert place.name == "taxi-20260401T000000Z-2d711642"
    assert left_in(tmp_path / "runs") == [place.name]
    run = read_run(place)
    assert run.rows == (ROWS[0], ROWS[1])  # "vpg-1" sorts before "東京"
    assert list(run.charges) == CHARGED
    assert run.delays == DELAYS
    assert run.minutes == tuple(MINUTES[::-1])
    assert run.notes == tuple(NOTES)
    assert run.summary == {"verdict": "holds", "円": 1}
    assert (run.status, run.manifest["seed"]) == ("complete", 7)
    assert (place / "scenario.yaml").read_bytes() == "name: 東京\r\n".encode()


def test_the_manifest_names_every_file_with_its_digest(tmp_path: Path) -> None:
    place = write_run(tmp_path)
    manifest = json.loads((place / "manifest.json").read_text("utf-8"))
    assert next(iter(manifest)) == "schema_version"
    assert sorted(manifest["files"]) == [n for n in left_in(place) if n != "manifest.json"]
    for name, entry in manifest["files"].items():
        data = (place / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    place = write_run(tmp_path)
    lines = (place / "charges.csv").read_text("utf-8").split("\n")
    assert lines[0] == (
        "vpg_id,hour_start_us,hour_start_jst,bill_item,quantity,"
        "unit_price_micro_yen,amount_micro_yen"
    )
    nine, ten = "2026-04-01T09:00:00+09:00", "2026-04-01T10:00:00+09:00"
    assert lines[1] == f"vpg-1,{ROWS[0].hour_start_us},{ten},vpg_c_small,1,50000000,50000000"
    assert lines[3] == f"東京,{APRIL_2026_US},{nine},vpg_f2,1,,"
    hourly = (place / "hourly.csv").read_text("utf-8").splitlines()
    assert len(hourly) == 3
    assert hourly[0].startswith("vpg_id,hour_start_us,hour_start_jst,config_seq,vpg_exists,")
    assert hourly[1].startswith(f"vpg-1,{ROWS[0].hour_start_us},{ten},0,1,")
    assert str(2**62) in hourly[1].split(",")


def test_the_month_to_date_is_data_in_both_forms(tmp_path: Path) -> None:
    charges = [*CHARGED, dataclasses.replace(CHARGED[0], hour_start_us=APRIL_2026_US - HOUR_US)]
    with RunDirWriter(parent=tmp_path, scenario="x", started_us=0, identity="") as run:
        run.write_month_to_date(month_to_date(charges))
        place = run.finish({})
    assert (place / "month_to_date.csv").read_text("utf-8").splitlines() == [
        "month,hour_start_us,hour_start_jst,cumulative_micro_yen,cumulative_yen",
        f"202603,{APRIL_2026_US - HOUR_US},2026-04-01T08:00:00+09:00,50000000,50",
        f"202604,{APRIL_2026_US},2026-04-01T09:00:00+09:00,980000000,980",
        f"202604,{APRIL_2026_US + HOUR_US},2026-04-01T10:00:00+09:00,1030000000,1030",
    ]
    data = (place / "month_to_date.parquet").read_bytes()
    assert from_parquet(MONTH_TO_DATE, data) == month_to_date(charges)
    assert {"month_to_date.csv", "month_to_date.parquet"} <= OWN_FILES


def test_the_same_run_gives_the_same_bytes_and_units_are_in_the_file(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    for name in left_in(one):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    schema = pq.read_schema(one / "hourly.parquet")
    assert schema.metadata == {b"schema_version": b"vpgsim-hourly-v1"}
    assert schema.field("bytes_up").metadata[b"unit"] == b"bytes"
    assert not schema.field("bytes_up").nullable
    assert pq.read_schema(one / "charges.parquet").field("amount_micro_yen").nullable


def test_two_runs_of_one_second_stand_side_by_side(tmp_path: Path) -> None:
    names = [write_run(tmp_path).name for _ in range(3)]
    assert names == [names[0], f"{names[0]}-2", f"{names[0]}-3"]


def test_a_partial_run_is_marked_and_says_why(tmp_path: Path) -> None:
    place = write_run(tmp_path, status="partial", why_partial="interrupted at 09:00")
    run = read_run(place)
    assert (run.status, run.manifest["why_partial"]) == ("partial", "interrupted at 09:00")
    assert (place / "PARTIAL").read_text("utf-8") == "interrupted at 09:00\n"
    assert "PARTIAL" in run.manifest["files"]


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt(), SystemExit(1)])
def test_an_exception_inside_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write_then_raise(tmp_path, error)
    assert left_in(tmp_path) == []


def test_forgetting_to_finish_leaves_nothing(tmp_path: Path) -> None:
    with RunDirWriter(parent=tmp_path, scenario="x", started_us=0, identity="") as run:
        run.write_hourly(ROWS)
    assert left_in(tmp_path) == []
    with pytest.raises(EnsureError, match="inside its with block"):
        run.write_text("late", "")


@pytest.mark.parametrize(
    "name", ["../up", "a/../b", "/a", "a//b", "manifest.json", "", ".", "..", "a\\b", "a\n"]
)
def test_a_file_name_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(EnsureError),
        RunDirWriter(parent=tmp_path, scenario="x", started_us=0, identity="") as run,
    ):
        run.write_text(name, "")


def test_a_file_below_a_folder_is_kept_there_and_read_back(tmp_path: Path) -> None:
    with RunDirWriter(parent=tmp_path, scenario="x", started_us=0, identity="") as run:
        run.write_text("data/2026/curve.csv", "1\n")
        place = run.finish({})
    assert (place / "data/2026/curve.csv").read_text() == "1\n"
    assert list(read_run(place).manifest["files"]) == ["data/2026/curve.csv"]


@pytest.mark.parametrize(
    ("scenario", "start"),
    [("../../etc", "etc-"), ("a b/c\n", "a-b-c-"), ("...", "run-"), ("x" * 300, "x" * 60 + "-")],
)
def test_a_scenario_name_cannot_lead_elsewhere(tmp_path: Path, scenario: str, start: str) -> None:
    with RunDirWriter(parent=tmp_path, scenario=scenario, started_us=0, identity="") as run:
        place = run.finish({})
    assert place.parent == tmp_path
    assert place.name.startswith(start)


class FailingDisk(Disk):
    """A disk whose ``fail_at``-th change fails with ``code``; counts the changes."""

    def __init__(self, fail_at: int, code: int) -> None:
        self.steps: list[str] = []
        self._fail_at = fail_at
        self._code = code

    def _step(self, name: str, path: Path) -> None:
        self.steps.append(name)
        if len(self.steps) == self._fail_at:
            raise OSError(self._code, os.strerror(self._code), str(path))

    def make_dir(self, path: Path, *, parents: bool = False) -> None:
        self._step("make_dir", path)
        super().make_dir(path, parents=parents)

    def write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data[: len(data) // 2])  # a full disk takes a part first
        self._step("write", path)
        super().write(path, data)

    def sync_file(self, path: Path) -> None:
        self._step("sync", path)
        super().sync_file(path)

    def rename(self, old: Path, new: Path) -> None:
        self._step("rename", old)
        super().rename(old, new)


def _count_steps(folder: Path) -> list[str]:
    disk = FailingDisk(0, 0)
    write_run(folder, disk)
    return disk.steps


@pytest.mark.parametrize(
    ("code", "number", "exit_code"),
    [
        (errno.ENOSPC, "VPG1452", ExitCode.PARTIAL),
        (errno.EIO, "VPG1453", ExitCode.PARTIAL),
        (errno.EROFS, "VPG1451", ExitCode.INVALID_INPUT),
    ],
)
def test_a_disk_that_fails_at_any_step_leaves_nothing_half_written(
    tmp_path: Path, code: int, number: str, exit_code: ExitCode
) -> None:
    steps = _count_steps(tmp_path / "good")
    # Two directories, nine files and a manifest, each synced, then directory, rename and parent.
    assert steps.count("write") == 10
    assert steps.count("sync") == 11 + 2
    assert steps[-3:] == ["sync", "rename", "sync"]
    for k in range(1, len(steps) + 1):
        folder = tmp_path / f"fail-{k}"
        with pytest.raises(VpgError) as caught:
            write_run(folder, FailingDisk(k, code))
        assert left_in(folder) == [], f"step {k}: {steps[k - 1]}"
        error = caught.value
        if exit_code is ExitCode.INVALID_INPUT:
            assert isinstance(error, InputError)
            problem = error.problems[0]
        else:
            assert isinstance(error, RunDirError)
            assert error.exit_code is exit_code
            problem = error.problem
        assert problem.code == number
        for lang in LANGS:
            assert str(folder) in render(problem, lang)


def test_a_file_system_without_directory_sync_is_no_failure(tmp_path: Path) -> None:
    steps = _count_steps(tmp_path / "good")
    for k in (len(steps), len(steps) - 2):
        assert write_run(tmp_path / str(k), FailingDisk(k, errno.EINVAL)).is_dir()


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for parent in (tmp_path / "file", tmp_path / "file" / "runs", tmp_path / ("n" * 300)):
        with pytest.raises(InputError, match="VPG1451"):
            write_run(parent)
    assert left_in(tmp_path) == ["file"]


def test_a_full_disk_met_by_a_chart_is_named_too(tmp_path: Path) -> None:
    with (
        pytest.raises(RunDirError, match="VPG1452"),
        RunDirWriter(parent=tmp_path, scenario="x", started_us=0, identity="") as run,
    ):
        raise OSError(errno.ENOSPC, "full", str(run.path("chart.png")))
    with (
        pytest.raises(OSError, match="elsewhere"),
        RunDirWriter(parent=tmp_path, scenario="x", started_us=0, identity="") as run,
    ):
        raise OSError(errno.EACCES, "elsewhere", str(tmp_path.parent / "font.ttf"))
    assert left_in(tmp_path) == []


def test_damage_is_found_all_at_once_when_read(tmp_path: Path) -> None:
    place = write_run(tmp_path)
    (place / "hourly.csv").write_bytes((place / "hourly.csv").read_bytes()[:-1])
    (place / "delays.parquet").unlink()
    with pytest.raises(InputError) as caught:
        read_run(place)
    assert [p.code for p in caught.value.problems] == ["VPG1455", "VPG1456"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"schema_version": "vpgsim-run-v0"}',
        '{"schema_version": "vpgsim-run-v1", "status": "complete", "files": []}',
        '{"schema_version": "vpgsim-run-v1", "status": "good", "files": {}}',
        MANIFEST_OF.format("../x"),
        MANIFEST_OF.format(".."),
        "\udcff",
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="VPG1457"):
        read_run(tmp_path)


def test_a_directory_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="VPG1455"):
        read_run(tmp_path / "none")


@pytest.mark.parametrize("data", [b"", b"PAR1 nonsense PAR1", to_parquet(CHARGES, CHARGED)])
def test_a_table_of_another_kind_is_refused(tmp_path: Path, data: bytes) -> None:
    with RunDirWriter(parent=tmp_path, scenario="x", started_us=0, identity="") as run:
        run.write_bytes("hourly.parquet", data)
        place = run.finish({})
    with pytest.raises(InputError, match="VPG1458"):
        read_run(place)


def test_tables_without_rows_are_tables(tmp_path: Path) -> None:
    with RunDirWriter(parent=tmp_path, scenario="x", started_us=0, identity="") as run:
        run.write_hourly([])
        run.write_delays({})
        place = run.finish({})
    run_files = read_run(place)
    assert (run_files.rows, run_files.charges, run_files.delays) == ((), (), {})
    assert pq.read_table(place / "hourly.parquet").num_rows == 0
    assert tuple(pq.read_schema(place / "hourly.parquet").names) == HOURLY.names
