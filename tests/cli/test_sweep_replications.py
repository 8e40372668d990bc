"""``vpg sweep --replications R --until …``: a row a point with intervals, resumable run by run."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from sim.stats import mean_interval
from tests.support import ROOT
from tests.support_cli import start, vpg
from vpg.errors import ExitCode
from vpg.replications import FIGURES, SHARES

if TYPE_CHECKING:
    from pathlib import Path

OVER = ("--over", "fleets.seismic.lines=100,200", "--over", "vpgs[0].size=small,medium")
SWEEP = ("sweep", "alarm-storm", "--no-charts", *OVER, "--replications", "6")
RUNS = 24
"""Two seconds of work."""
NAMES = ("sweep.csv", "sweep.parquet", "replications.csv", "replications.parquet")


def tables(folder: Path) -> list[bytes]:
    """Return the bytes of the one finished sweep below ``folder``; nothing else may be there."""
    [sweep_dir] = (folder / "runs").iterdir()
    return [(sweep_dir / name).read_bytes() for name in NAMES]


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    [sweep_dir] = (folder / "runs").iterdir()
    return list(csv.DictReader((sweep_dir / name).read_text(encoding="utf-8").splitlines()))


def finished(folder: Path) -> int:
    for journal in (folder / "runs").glob("*.partial/points.jsonl"):
        return journal.read_bytes().count(b"\n")
    return 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sweep that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    answer = vpg(*SWEEP, "--workers", "1", "--quiet", "--out", str(folder / "runs"))
    assert answer.code == ExitCode.OK, answer.err
    return folder


# ---- the table -----------------------------------------------------------------------------------


def test_a_row_of_a_point_is_what_its_replications_say(undisturbed: Path) -> None:
    points, runs = (rows(undisturbed, name) for name in ("sweep.csv", "replications.csv"))
    assert [(row["point"], row["replication"]) for row in runs] == [
        (str(point), str(number)) for point in range(4) for number in range(6)
    ]
    assert len(points) == 4
    for point in points:
        own = [row for row in runs if row["point"] == point["point"]]
        shared = set(own[0]) & set(point) - {"verdict"}
        assert len(shared) > 18
        assert {name: point[name] for name in shared} == {name: own[0][name] for name in shared}
        assert point["replications"] == "6"
        met = sum(row["verdict"] == "holds" for row in own)
        assert (point["objectives_met"], point["verdict"]) == (
            str(met),
            "holds" if met == 6 else "fails",
        )
        assert point["until_met"] == ""
        found = mean_interval(
            int(row["throttled_limited"]) / int(row["attempts_limited"]) for row in own
        )
        assert found.half_width is not None
        for name, value in (
            ("mean", found.mean),
            ("lower", found.mean - found.half_width),
            ("upper", found.mean + found.half_width),
        ):
            told = float(point[f"throttled_share_ppm_{name}"])
            assert told == pytest.approx(1e6 * value, abs=0.001)
        delays = mean_interval(int(row["delay_us_p99"]) for row in own)
        assert float(point["delay_us_p99_mean"]) == pytest.approx(delays.mean, abs=0.001)


def test_both_forms_of_the_table_say_the_same_and_its_version(undisturbed: Path) -> None:
    _, parquet, _, runs = tables(undisturbed)
    table = pq.read_table(io.BytesIO(parquet))
    assert table.schema.metadata[b"schema_version"] == b"vpgsim-sweep-v2"
    assert pq.read_table(io.BytesIO(runs)).schema.metadata[b"schema_version"] == (
        b"vpgsim-sweep-runs-v1"
    )
    for number, row in enumerate(rows(undisturbed, "sweep.csv")):
        for name, cell in row.items():
            value = table.column(name)[number].as_py()
            assert ("" if value is None else str(value)) == cell
    for figure in FIGURES:
        name = f"{figure}_ppm" if figure in SHARES else figure
        for part in ("mean", "lower", "upper"):
            assert str(table.schema.field(f"{name}_{part}").type) == "double"


def test_one_replication_keeps_the_plain_columns_and_has_no_interval(in_tmp: Path) -> None:
    assert vpg(*SWEEP[:-2], "--quiet", "--workers", "1").code == ExitCode.OK
    [sweep_dir] = (in_tmp / "runs").iterdir()
    assert not (sweep_dir / "replications.csv").exists()
    for row in rows(in_tmp, "sweep.csv"):
        assert (row["replications"], row["until_met"]) == ("1", "")
        assert {row[name] for name in row if name.endswith(("_lower", "_upper"))} == {""}
        assert float(row["delay_us_p99_mean"]) == int(row["delay_us_p99"])
        assert float(row["charges_yen_mean"]) == int(row["charges_tax_included_yen"])


def test_every_point_draws_the_same_in_the_same_replication(undisturbed: Path) -> None:
    """Common random numbers: what the same lines mean to send does not depend on the VPG's size."""
    runs = rows(undisturbed, "replications.csv")
    found: dict[tuple[str, str], set[str]] = {}
    for row in runs:
        key = row["fleets.seismic.lines"], row["replication"]
        found.setdefault(key, set()).add(row["messages_offered"])
    assert len(found) == 12
    assert all(len(offered) == 1 for offered in found.values())
    small, medium = (
        [int(row["throttled_limited"]) for row in runs if row["vpgs[0].size"] == size]
        for size in ("small", "medium")
    )
    assert all(one >= other for one, other in zip(small, medium, strict=True))
    assert sum(small) > sum(medium)


# ---- when it ends --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_each_point_ends_at_its_own_first_narrow_interval(workers: str, in_tmp: Path) -> None:
    words = (*SWEEP[:-2], "--until", "throttled_share±0.5%", "--replications", "40")
    answer = vpg(*words, "--workers", workers, "--json")
    assert answer.code == ExitCode.OK, answer.err
    document = json.loads(answer.out)
    assert (document["replications"], document["until"]) == (40, "throttled_share+-0.5%")
    counts = [point["replications"] for point in document["points"]]
    assert len(set(counts)) > 1
    assert min(counts) >= 5
    runs = rows(in_tmp, "replications.csv")
    for point in document["points"]:
        shares = [
            int(row["throttled_limited"]) / int(row["attempts_limited"])
            for row in runs
            if row["point"] == str(point["point"])
        ]
        widths = [mean_interval(shares[:n]).half_width or 0 for n in range(5, len(shares) + 1)]
        assert [width <= 0.005 for width in widths] == [False] * (len(widths) - 1) + [True]
        assert point["until_met"] is True


def test_an_interval_that_is_not_reached_ends_with_5_after_writing_everything(
    in_tmp: Path,
) -> None:
    words = (*SWEEP[:-2], "--until", "throttled_share±0.0001%", "--replications", "5")
    answer = vpg(*words, "--workers", "1")
    assert answer.code == ExitCode.CANNOT_TELL
    assert "throttled_share+-0.0001% is NOT reached in" in answer.err
    assert {row["replications"] for row in rows(in_tmp, "sweep.csv")} == {"5"}
    assert "0" in {row["until_met"] for row in rows(in_tmp, "sweep.csv")}


def test_the_page_shows_intervals_in_both_languages(in_tmp: Path) -> None:
    english = vpg(*SWEEP[:3], "--over", "vpgs[0].size=small", "--replications", "5").out
    assert "Replications: 5 a point" in english
    assert "0/5" in english
    japanese = vpg(*SWEEP[:3], "--over", "seed=1", "--replications", "5", "--lang", "ja").out
    assert "1 点 5 回" in japanese
    assert list(in_tmp.iterdir()) == [in_tmp / "runs"]


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "too many runs": (("--over", "seed=1..10000", "--replications", "101"), "VPG1045"),
    "too many with until": (("--over", "seed=1..1001", "--until", "lines_peak±1"), "VPG1045"),
    "none": (("--over", "seed=1,2", "--replications", "0"), "VPG1017"),
    "too many": (("--over", "seed=1,2", "--replications", "100001"), "VPG1017"),
    "until nothing": (("--over", "seed=1,2", "--until", ""), "VPG1030"),
    "until unknown": (("--over", "seed=1,2", "--until", "acepted_share±1%"), "VPG1013"),
    "too few": (
        ("--over", "seed=1,2", "--until", "lines_peak±1", "--replications", "4"),
        "VPG1017",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_told_and_leaves_nothing(name: str, in_tmp: Path) -> None:
    words, number = BAD[name]
    for lang in ("en", "ja"):
        answer = vpg("sweep", "smallest", "--lang", lang, *words)
        assert (answer.code, answer.numbers) == (ExitCode.USAGE, [number])
    assert list(in_tmp.iterdir()) == []
    if number == "VPG1045":
        count = "1,010,000" if "10000" in words[1] else "1,001,000"
        assert count in vpg("sweep", "smallest", *words).err


# ---- killed, full, and on again ------------------------------------------------------------------


def go_on(folder: Path, workers: str = "1") -> str:
    """Let the same command end what is there; return what it said."""
    process = start(*SWEEP, "--workers", workers, cwd=folder)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return err


def test_killed_no_finished_replication_is_computed_again(
    undisturbed: Path, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(*SWEEP, "--workers", "2", cwd=in_tmp)
    until = time.monotonic() + 60
    while finished(in_tmp) < 8 and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=60)
    before = finished(in_tmp)
    assert 8 <= before < RUNS
    from sim import points

    done: list[int] = []
    real = points.PointJob.run

    def counted(self: Any, task: Any, **more: Any) -> Any:
        done.append(task[2])
        return real(self, task, **more)

    monkeypatch.setattr(points.PointJob, "run", counted)
    answer = vpg(*SWEEP, "--workers", "1")
    assert answer.code == ExitCode.OK, answer.err
    assert len(done) == RUNS - before
    assert f"({before} replications) were finished before" in answer.err
    assert tables(in_tmp) == tables(undisturbed)


def test_fewer_or_more_replications_use_those_that_are_finished(
    undisturbed: Path, in_tmp: Path
) -> None:
    process = start(*SWEEP[:-1], "900", "--workers", "2", cwd=in_tmp)
    until = time.monotonic() + 60
    while finished(in_tmp) < 9 and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=60)
    assert "were finished before" in go_on(in_tmp)
    assert tables(in_tmp) == tables(undisturbed)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000))
from vpg.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits a file's size as POSIX does")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_disk_that_takes_no_more_ends_with_6_and_keeps_what_is_finished(
    workers: str, undisturbed: Path, in_tmp: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *SWEEP, "--workers", workers],
        cwd=in_tmp,
        env={"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.PARTIAL, done.stderr
    assert "VPG1481" in done.stderr
    assert "Traceback" not in done.stderr
    kept = finished(in_tmp)
    assert 3 <= kept < RUNS
    assert f"{kept} finished runs are kept" in done.stderr
    assert f"({kept} replications) were finished before" in go_on(in_tmp)
    assert tables(in_tmp) == tables(undisturbed)


@pytest.mark.long
def test_killed_at_twenty_random_moments_it_goes_on_to_the_same_table(
    undisturbed: Path, in_tmp: Path
) -> None:
    moments = random.Random(20)
    for turn in range(20):
        folder = in_tmp / str(turn)
        folder.mkdir()
        for _ in range(moments.choice((1, 1, 2, 3))):
            process = start(*SWEEP, "--workers", moments.choice("12"), cwd=folder)
            time.sleep(moments.uniform(0.1, 4))
            process.kill()
            process.communicate(timeout=60)
        go_on(folder, moments.choice("12"))
        # Killed between the result and the end of the clearing up, the command makes it again.
        found = sorted((folder / "runs").glob("sweep-alarm-storm-2*"))
        assert found
        for sweep_dir in found:
            assert [(sweep_dir / name).read_bytes() for name in NAMES] == tables(undisturbed)
