"""Each exit code has one meaning; no traceback is shown, and nothing is half-written."""

from __future__ import annotations

import dataclasses
import errno
import json
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

import sim.run
from scenarios.new import ready_files, ready_text
from tests.support import ROOT
from tests.support_cli import start, vpg
from vpg.errors import EnsureError, ExitCode, InputError, Problem
from vpg.rundir import OWN_FILES, Disk, read_run

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.results import RunResult

RUN = ("run", "smallest", "--no-charts")
MISSED = (*RUN, "--set", "objectives=[{lines_peak_max: 3}]")


@pytest.fixture
def crash_files(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let crash files fall into a folder of this test."""
    folder = in_tmp / "crashes"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def only_run(folder: Path) -> Path:
    """Return the one run directory below ``folder``, hidden ones included."""
    [run_dir] = (folder / "runs").iterdir()
    return run_dir


def manifest(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))
    return found


def test_a_run_that_holds_ends_with_0_and_a_complete_directory(in_tmp: Path) -> None:
    answer = vpg(*RUN, "--quiet")
    assert (answer.code, answer.err) == (ExitCode.OK, "")
    run_dir = only_run(in_tmp)
    assert answer.out == f"{run_dir.relative_to(in_tmp)}\n"
    names = {path.name for path in run_dir.iterdir()}
    parts = ("hourly", "charges", "month_to_date")
    tables = {f"{table}.{kind}" for table in parts for kind in ("parquet", "csv")}
    rest = {"delays.parquet", "peaks.parquet", "events.jsonl", "bill.json", "bill.csv"}
    assert names == tables | rest | {"manifest.json", "scenario.yaml", "summary.json"}
    said = manifest(run_dir)
    assert (said["status"], said["seed"], said["source"]) == ("complete", 1, "smallest")
    assert {"python", "vpgsim", "numpy", "simpy"} <= set(said["versions"])
    assert len(said["assumptions"]) >= 35
    assert set(said["files"]) == names - {"manifest.json"}
    assert names - {"manifest.json"} <= OWN_FILES
    bill = json.loads((run_dir / "bill.json").read_text(encoding="utf-8"))
    running = (run_dir / "month_to_date.csv").read_text(encoding="utf-8").splitlines()
    assert bill["months"][-1]["month_to_date_yen"] == running[-1].rpartition(",")[2] != "0"
    assert vpg("show", str(run_dir)).code == ExitCode.OK
    assert vpg("validate", str(run_dir / "scenario.yaml")).code == ExitCode.OK


def test_the_scenario_is_kept_verbatim_with_the_files_it_names(in_tmp: Path) -> None:
    text = (
        "vpgsim: 1\nname: curve  # kept\nstart: 2026-04-01T09:00:00+09:00\nduration_h: 1\n"
        "vpgs: [{id: g, type: C, size: small}]\n"
        "fleets: [{name: f, vpg: g, lines: 5, traffic: [{kind: demand_curve, file: curve.csv}]}]\n"
    )
    curve = "begins_at,ends_at,messages\n2026-04-01T09:00:00+09:00,2026-04-01T10:00:00+09:00,60\n"
    (in_tmp / "mine.yaml").write_text(text, encoding="utf-8")
    (in_tmp / "curve.csv").write_text(curve, encoding="utf-8")
    answer = vpg("run", "mine.yaml", "--no-charts", "--seed", "7", "--set", "fleets[0].lines=6")
    assert answer.code == ExitCode.OK, answer.err
    run_dir = only_run(in_tmp)
    assert (run_dir / "scenario.yaml").read_text(encoding="utf-8") == text
    assert (run_dir / "curve.csv").read_text(encoding="utf-8") == curve
    assert manifest(run_dir)["seed"] == 7
    assert len(manifest(run_dir)["overrides"]) == 2


@pytest.mark.parametrize("fails", [True, False])
def test_a_missed_objective_ends_with_4_after_writing_everything(fails: bool, in_tmp: Path) -> None:
    answer = vpg(*MISSED, *(() if fails else ("--no-fail-on-objectives",)))
    assert answer.code == (ExitCode.ANSWER_IS_NO if fails else ExitCode.OK), answer.err
    assert manifest(only_run(in_tmp))["status"] == "complete"


def test_a_run_that_ends_partial_by_itself_ends_with_6(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sim.run.simulate

    def bounded(*args: Any, **kwargs: Any) -> RunResult:
        return dataclasses.replace(whole(*args, **kwargs), status="partial", why_partial="bound")

    monkeypatch.setattr(sim.run, "simulate", bounded)
    assert vpg(*MISSED).code == ExitCode.PARTIAL
    said = manifest(only_run(in_tmp))
    assert (said["status"], said["why_partial"]) == ("partial", "bound")


def test_a_full_disk_ends_with_6_and_leaves_nothing(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_disk: object, path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Disk, "write", full)
    answer = vpg(*RUN)
    assert (answer.code, answer.numbers) == (ExitCode.PARTIAL, ["VPG1452"])
    assert list((in_tmp / "runs").iterdir()) == []


def test_the_unexpected_ends_with_1_and_a_crash_file(
    crash_files: Path, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the wheel came off")

    monkeypatch.setattr(sim.run, "simulate", broken)
    for lang in ("en", "ja"):
        answer = vpg(*RUN, "--lang", lang)
        assert (answer.code, answer.numbers) == (ExitCode.UNEXPECTED, ["VPG1090"])
        assert "Traceback" not in answer.err
        assert "the wheel came off" in answer.err
    told = [path.read_text(encoding="utf-8") for path in crash_files.iterdir()]
    assert all("Traceback" in text and "the wheel came off" in text for text in told)
    assert len(told) == 2
    assert not (in_tmp / "runs").exists()
    monkeypatch.setenv("VPG_DEBUG", "1")
    assert "Traceback" in vpg(*RUN).err


def test_a_broken_promise_ends_with_1_and_a_marked_directory(
    crash_files: Path, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise EnsureError("pending_end is not what it was")

    monkeypatch.setattr(sim.run, "simulate", broken)
    answer = vpg(*RUN)
    assert (answer.code, answer.numbers) == (ExitCode.UNEXPECTED, ["VPG1091"])
    said = manifest(only_run(in_tmp))
    assert (said["status"], said["why_partial"]) == ("partial", "pending_end is not what it was")
    assert only_run(in_tmp).name in answer.err
    assert len(list(crash_files.iterdir())) == 1


def test_rows_that_contradict_each_other_are_kept_to_find_the_bug(
    crash_files: Path, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim.run, "conservation", lambda _rows: ["one is lost", "two came back"])
    answer = vpg(*RUN)
    assert (answer.code, answer.numbers) == (ExitCode.UNEXPECTED, ["VPG1091"])
    kept = read_run(only_run(in_tmp))
    assert (kept.status, kept.manifest["why_partial"]) == ("partial", "one is lost; two came back")
    assert (len(kept.rows), kept.charges) == (1, ())
    assert kept.rows[0].messages_offered > 0
    assert kept.delays
    assert (kept.path / "hourly.csv").exists()
    assert not (kept.path / "bill.json").exists()
    assert "one is lost" in answer.err
    assert len(list(crash_files.iterdir())) == 1


def test_a_problem_whose_text_is_at_fault_is_told_as_our_fault(
    crash_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any, **__: Any) -> None:
        raise InputError([Problem(code="VPG1020")])

    monkeypatch.setattr(sim.run, "simulate", wrong)
    for form in ((), ("--json",)):
        answer = vpg(*RUN, *form)
        assert (answer.code, answer.numbers) == (ExitCode.UNEXPECTED, ["VPG1090"])
    assert len(list(crash_files.iterdir())) == 2


def test_a_reader_that_goes_away_changes_nothing(in_tmp: Path) -> None:
    for words, code in ((("catalogue",), ExitCode.OK), (MISSED, ExitCode.ANSWER_IS_NO)):
        process = start(*words, cwd=in_tmp)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        process.stderr.close()
        assert process.wait() == code
        assert "Traceback" not in said
        assert "Broken" not in said
    assert manifest(only_run(in_tmp))["status"] == "complete"


def test_help_needs_none_of_the_heavy_libraries(in_tmp: Path) -> None:
    code = (
        "import sys; from vpg.cli.main import run; run(['--help']);"
        "heavy = {'numpy', 'pydantic', 'simpy', 'matplotlib', 'pyarrow', 'rich', 'msgspec',"
        "'ruamel'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=in_tmp,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_data_files_travel_with_the_run_and_may_not_take_its_names(in_tmp: Path) -> None:
    # given: a scenario whose data lies in a folder, and one whose data is named like a result
    text = ready_text("taxi-payments")
    data = ready_files("taxi-payments")["taxi-payments.demand.csv"]
    (in_tmp / "data").mkdir()
    for scenario, name in (("inside", "data/curve.csv"), ("clash", "hourly.csv")):
        (in_tmp / name).write_bytes(data)
        changed = text.replace("taxi-payments.demand.csv", name)
        (in_tmp / f"{scenario}.yaml").write_text(changed, encoding="utf-8")

    one_hour = ("--no-charts", "--quiet", "--set", "duration_h=1")
    kept = vpg("run", "inside.yaml", *one_hour)
    refused = vpg("run", "clash.yaml", *one_hour)

    assert kept.code == ExitCode.OK, kept.err
    assert data == (only_run(in_tmp) / "data" / "curve.csv").read_bytes()
    assert refused.code == ExitCode.INVALID_INPUT
    assert "VPG1459" in refused.err
