"""``vpg sweep``: the same table whoever computes it and however often it was interrupted.

Signals go to processes that the test started itself, by their number.
"""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sim.run import simulate
from tests.support_cli import start, vpg
from vpg import sweepwork
from vpg.cli.documents import SweepDocument
from vpg.errors import EnsureError, ExitCode

if TYPE_CHECKING:
    from pathlib import Path

POINTS = 10
SWEEP = (
    *("sweep", "smallest", "--no-charts", "--over", "fleets.sensors.lines=100..500:100"),
    *("--over", "seed=1,2", "--set", "duration_h=2"),
)
"""About two seconds."""
QUICK = ("sweep", "smallest", "--no-charts", "--over", "seed=1..4")
TABLES = ("sweep.csv", "sweep.parquet")


def tables(folder: Path) -> list[bytes]:
    """Return the bytes of the one finished sweep below ``folder``; nothing else may be there."""
    [sweep_dir] = (folder / "runs").iterdir()
    return [(sweep_dir / name).read_bytes() for name in TABLES]


def partial(folder: Path) -> Path:
    """Return the one directory of an unfinished sweep."""
    [found] = (folder / "runs").glob("*.partial")
    return found


def finished(folder: Path) -> int:
    """Return how many whole lines the journal has."""
    for journal in (folder / "runs").glob("*.partial/points.jsonl"):
        return journal.read_bytes().count(b"\n")
    return 0


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return the tables of a sweep that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    answer = vpg(*SWEEP, "--workers", "1", "--quiet", "--out", str(folder / "runs"))
    assert answer.code == ExitCode.OK, answer.err
    return tables(folder)


def test_a_sweep_keeps_table_scenario_charts_and_manifest(in_tmp: Path) -> None:
    answer = vpg(
        *("sweep", "smallest", "--over", "fleets.sensors.lines=10,20", "--workers", "1"),
        *("--set", "objectives=[{lines_peak_max: 15}]"),
    )
    assert answer.code == ExitCode.OK, answer.err
    assert answer.out.startswith("2 points: 1 hold, 1 fail\n")
    [sweep_dir] = (in_tmp / "runs").iterdir()
    names = {path.name for path in sweep_dir.iterdir()}
    charts = {"chart-sweep.png", "chart-sweep.svg"}
    assert names == {*TABLES, *charts, "manifest.json", "scenario.yaml"}
    manifest = json.loads((sweep_dir / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["schema_version"] == "vpgsim-sweep-v2"
    assert (manifest["points_total"], manifest["points_done"]) == (2, 2)
    assert manifest["over"] == [{"key": "fleets.sensors.lines", "values": ["10", "20"]}]
    assert set(manifest["files"]) == names - {"manifest.json"}
    assert vpg("show", str(sweep_dir)).numbers == ["VPG1501"]


def test_workers_never_change_a_byte(expected: list[bytes], in_tmp: Path) -> None:
    answer = vpg(*SWEEP, "--workers", "2")
    assert answer.code == ExitCode.OK, answer.err
    assert tables(in_tmp) == expected


def kill_and_go_on(folder: Path, when: Any, *, workers: str) -> None:
    """Start the sweep, kill it when ``when`` says so, and let the same command end it."""
    folder.mkdir(exist_ok=True)
    process = start(*SWEEP, "--workers", workers, cwd=folder)
    try:
        when()
    finally:
        process.kill()
        process.communicate(timeout=60)
    done = start(*SWEEP, "--workers", "1", cwd=folder)
    _, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    assert "Traceback" not in err


@pytest.mark.parametrize(("points", "workers"), [(1, "1"), (4, "2"), (8, "1")])
def test_killed_it_goes_on_to_the_same_table(
    points: int, workers: str, expected: list[bytes], in_tmp: Path
) -> None:
    def when() -> None:
        until = time.monotonic() + 60
        while finished(in_tmp) < points and time.monotonic() < until:
            time.sleep(0.005)

    kill_and_go_on(in_tmp, when, workers=workers)
    assert tables(in_tmp) == expected


@pytest.mark.long
def test_killed_at_twenty_random_moments_it_goes_on_to_the_same_table(
    expected: list[bytes], in_tmp: Path
) -> None:
    moments = random.Random(20)
    for turn in range(20):
        folder = in_tmp / str(turn)
        wait_s = moments.uniform(0.1, 5)
        kill_and_go_on(folder, lambda s=wait_s: time.sleep(s), workers=moments.choice("12"))
        found = sorted((folder / "runs").glob("sweep-smallest-2*"))
        # Killed between the result and the end of the clearing up, the command makes it again.
        assert 1 <= len(found) <= 2
        for sweep_dir in found:
            assert [(sweep_dir / name).read_bytes() for name in TABLES] == expected


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_a_signal_keeps_the_finished_points_and_says_how_to_go_on(
    signum: signal.Signals, expected: list[bytes], in_tmp: Path
) -> None:
    process = start(*SWEEP, "--workers", "2", "--json", cwd=in_tmp)
    until = time.monotonic() + 60
    while finished(in_tmp) < 2 and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert "Traceback" not in err
    document = msgspec.json.decode(out, type=SweepDocument)
    assert (document.status, document.why_partial) == ("partial", signum.name)
    assert 2 <= document.points_done == len(document.points) < POINTS
    assert document.sweep_dir == str(partial(in_tmp).relative_to(in_tmp))
    assert f"{document.points_done} of {POINTS} points are finished" in err
    answer = vpg(*SWEEP, "--workers", "1")
    assert f"{document.points_done} of {POINTS} points were finished before" in answer.err
    assert tables(in_tmp) == expected


# ---- inside this process -------------------------------------------------------------------------


@pytest.fixture
def runs_done(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the seeds of the simulations that were run, in order."""
    seeds: list[int] = []

    def counted(scenario: Any, *args: Any, **kwargs: Any) -> Any:
        seeds.append(scenario.seed)
        return simulate(scenario, *args, **kwargs)

    monkeypatch.setattr("sim.points.simulate", counted)
    return seeds


def test_a_full_disk_ends_with_6_and_no_finished_point_is_computed_again(
    runs_done: list[int], in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sweepwork._write

    def full(handle: int, data: bytes) -> None:
        if b'"point":2' in data:
            os.write(handle, data[:20])
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle, data)

    with monkeypatch.context() as patch:
        patch.setattr(sweepwork, "_write", full)
        answer = vpg(*QUICK, "--workers", "1")
    assert (answer.code, answer.numbers) == (ExitCode.PARTIAL, ["VPG1481"])
    assert finished(in_tmp) == 2
    assert partial(in_tmp).name in answer.err
    assert vpg(*QUICK, "--workers", "1").code == ExitCode.OK
    assert runs_done == [1, 2, 3, 3, 4]
    once = tables(in_tmp)
    assert vpg(*QUICK, "--workers", "1", "--out", "again/runs").code == ExitCode.OK
    assert tables(in_tmp / "again") == once


def test_a_full_disk_at_the_end_keeps_every_point(
    runs_done: list[int], in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_disk: object, path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("vpg.rundir.Disk.write", full)
        answer = vpg(*QUICK, "--workers", "1")
    assert (answer.code, answer.numbers) == (ExitCode.PARTIAL, ["VPG1452"])
    assert vpg(*QUICK, "--workers", "1").code == ExitCode.OK
    assert runs_done == [1, 2, 3, 4]
    assert len(tables(in_tmp)) == len(TABLES)


def interrupted(monkeypatch: pytest.MonkeyPatch, at_seed: int) -> None:
    """Let the sweep of ``QUICK`` break at ``at_seed``, as if a promise of ours were broken."""

    def broken(scenario: Any, *args: Any, **kwargs: Any) -> Any:
        if scenario.seed == at_seed:
            raise EnsureError("pending_end is not what it was")
        return simulate(scenario, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("sim.points.simulate", broken)
        answer = vpg(*QUICK, "--workers", "1")
    assert (answer.code, answer.numbers) == (ExitCode.UNEXPECTED, ["VPG1091"])


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    ("more", "computed"),
    [
        ((), [3, 4]),
        (("--resume",), [3, 4]),
        (("--fresh",), [1, 2, 3, 4]),
        (("--set", "duration_h=2"), [1, 2, 3, 4]),
        (("--variant", "x"), []),
        (("--lang", "ja", "--workers", "2"), [3, 4]),
    ],
)
def test_finished_points_are_used_by_the_same_sweep_only(
    more: tuple[str, ...],
    computed: list[int],
    runs_done: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupted(monkeypatch, 3)
    runs_done.clear()
    answer = vpg(*QUICK, "--workers", "1", *more)
    if "--workers" in more:  # They ran in processes of their own.
        assert "計算済み" in answer.err
    else:
        assert runs_done == computed
    assert answer.code == (ExitCode.OK if computed else ExitCode.INVALID_INPUT), answer.err


def test_a_changed_scenario_or_catalogue_starts_anew(
    runs_done: list[int], in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vpg("new", "smallest", "--out", "mine.yaml").code == 0
    mine = ("sweep", "mine.yaml", *QUICK[2:], "--workers", "1")
    monkeypatch.setattr("vpg.sweepwork.SweepWork.remove", lambda _self: None)
    assert vpg(*mine).code == 0
    assert vpg(*mine).code == 0
    assert runs_done == [1, 2, 3, 4], "as long as nothing changed, nothing is computed again"
    text = (in_tmp / "mine.yaml").read_text(encoding="utf-8")
    (in_tmp / "mine.yaml").write_text(f"{text}# a word\n", encoding="utf-8")
    assert vpg(*mine).code == 0
    assert len(runs_done) == 8
    table = 'effective_from = 2026-04-02\nreplace = true\n[[limit]]\nitem = "lines_max_c_small"\n'
    (in_tmp / "own.toml").write_text(f'{table}value = 5\nunit = "lines"\n', encoding="utf-8")
    assert vpg(*mine, "--catalogue", "own.toml").code == 0
    assert len(runs_done) == 12


@pytest.mark.usefixtures("in_tmp")
def test_a_process_that_ends_by_itself_is_replaced_and_at_last_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sim.pool.serve", _ends_at_once)
    answer = vpg(*QUICK, "--workers", "2")
    assert (answer.code, answer.numbers) == (ExitCode.PARTIAL, ["VPG1482"])
    assert "3 times" in answer.err


def _ends_at_once(*_: object) -> None:
    os._exit(9)


def test_data_files_travel_with_every_point(in_tmp: Path) -> None:
    text = (
        "vpgsim: 1\nname: curve\nstart: 2026-04-01T09:00:00+09:00\nduration_h: 1\n"
        "vpgs: [{id: g, type: C, size: small}]\n"
        "fleets: [{name: f, vpg: g, lines: 5, traffic: [{kind: demand_curve, file: a.csv}]}]\n"
    )
    (in_tmp / "mine.yaml").write_text(text, encoding="utf-8")
    head = "begins_at,ends_at,messages\n2026-04-01T09:00:00+09:00,2026-04-01T10:00:00+09:00,"
    for name, messages in (("a.csv", 50), ("b.csv", 500), ("sweep.csv", 5)):
        (in_tmp / name).write_text(f"{head}{messages}\n", encoding="utf-8")
    own = ("sweep", "mine.yaml", "--no-charts", "--json", "--workers", "2")
    answer = vpg(*own, "--over", "fleets.f.traffic.0.file=a.csv,b.csv")
    assert answer.code == ExitCode.OK, answer.err
    few, many = (row["messages_offered"] for row in json.loads(answer.out)["points"])
    assert 0 < few < many
    [sweep_dir] = (in_tmp / "runs").iterdir()
    assert (sweep_dir / "b.csv").read_bytes() == (in_tmp / "b.csv").read_bytes()
    clash = vpg(*own, "--over", "fleets.f.traffic.0.file=a.csv,sweep.csv")
    assert (clash.code, clash.numbers) == (ExitCode.INVALID_INPUT, ["VPG1459"])


def test_quiet_says_only_where_the_result_is(in_tmp: Path) -> None:
    answer = vpg(*QUICK, "--quiet", "--workers", "1")
    [sweep_dir] = (in_tmp / "runs").iterdir()
    assert (answer.out, answer.err) == (f"{sweep_dir.relative_to(in_tmp)}\n", "")


USAGE, INPUT = ExitCode.USAGE, ExitCode.INVALID_INPUT
BAD: dict[str, tuple[tuple[str, ...], ExitCode, str]] = {
    "no axis": ((), USAGE, "VPG1012"),
    "an axis without value": (("--over",), USAGE, "VPG1014"),
    "no values": (("--over", "seed="), USAGE, "VPG1030"),
    "an empty range": (("--over", "seed=9..1:1"), USAGE, "VPG1041"),
    "a step of zero": (("--over", "seed=1..9:0"), USAGE, "VPG1041"),
    "a huge grid": (("--over", "seed=1..99999999"), USAGE, "VPG1042"),
    "a huge product": (("--over", "seed=1..101", "--over", "name=1..100"), USAGE, "VPG1042"),
    "a value twice": (("--over", "seed=1,1"), USAGE, "VPG1043"),
    "an axis twice": (("--over", "seed=1,2", "--over", "seed=3"), USAGE, "VPG1044"),
    "the seed twice": (("--over", "seed=1,2", "--seed", "3"), USAGE, "VPG1044"),
    "an unknown key": (("--over", "fleets.sensors.linse=1..3"), INPUT, "VPG1201"),
    "an unknown fleet": (("--over", "fleets.sensor.lines=1..3"), INPUT, "VPG1223"),
    "words for a number": (("--over", "fleets.sensors.lines=few,many"), INPUT, ""),
    "numbers for words": (("--over", "vpgs[0].size=1..3"), INPUT, "VPG1203"),
    "a key of a mapping": (("--over", "fleets=1..3"), INPUT, ""),
    "a bad value": (("--over", "vpgs[0].size=small,larg"), INPUT, "VPG1203"),
    "no workers": (("--over", "seed=1,2", "--workers", "0"), USAGE, "VPG1017"),
    "workers in words": (("--over", "seed=1,2", "--workers", "all"), USAGE, "VPG1017"),
    "no such variant": (("--over", "seed=1,2", "--variant", "x"), INPUT, "VPG1225"),
    "no such catalogue": (("--over", "seed=1,2", "--catalogue", "x"), INPUT, "VPG1101"),
    "a file as out": (("--over", "seed=1,2", "--out", "file"), INPUT, "VPG1451"),
    "out no text": (("--over", "seed=1,2", "--out", os.fsdecode(b"\xff")), INPUT, "VPG1451"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_told_and_leaves_nothing(name: str, in_tmp: Path) -> None:
    words, code, number = BAD[name]
    (in_tmp / "file").touch()
    for lang in ("en", "ja"):
        answer = vpg("sweep", "smallest", "--lang", lang, *words)
        assert answer.code == code, answer.err
        assert not number or number in answer.numbers, answer.err
        assert answer.numbers
        assert "Traceback" not in answer.err
        assert "VPG109" not in answer.err
    assert [path.name for path in in_tmp.iterdir()] == ["file"]


def test_a_near_miss_is_answered_with_the_key_meant() -> None:
    said = vpg("sweep", "smallest", "--over", "fleets.sensors.linse=1..3").err
    assert 'Did you mean "lines"?' in said
    assert "--over fleets.sensors.linse=1 VPG1201" in said
    assert said.count("VPG1201") == 1
