"""``vpg run --replications R --until … --workers N``: the table, the section, the exit codes."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sim.stats import mean_interval
from tests.support_cli import start, vpg
from vpg.cli.replications import read_until
from vpg.errors import ExitCode
from vpg.replications import FIGURES, REPLICATIONS
from vpg.runtables import from_parquet

if TYPE_CHECKING:
    import subprocess


STORM = ("run", "alarm-storm", "--no-charts", "--set", "fleets[0].lines=300")
RUN = (*STORM, "--no-fail-on-objectives")
BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no replications": (("--replications", "0"), "VPG1017"),
    "fewer than none": (("--replications=-3",), "VPG1017"),
    "too many": (("--replications", "100001"), "VPG1017"),
    "far too many": (("--replications", "9" * 40), "VPG1017"),
    "in words": (("--replications", "many"), "VPG1017"),
    "half a replication": (("--replications", "1.5"), "VPG1017"),
    "no value": (("--replications",), "VPG1014"),
    "no workers": (("--replications", "2", "--workers", "0"), "VPG1017"),
    "too many workers": (("--replications", "2", "--workers", "257"), "VPG1017"),
    "workers in words": (("--workers", "all"), "VPG1017"),
    "too few to stop on": (("--replications", "4", "--until", "lines_peak+-1"), "VPG1017"),
    "until nothing": (("--until", ""), "VPG1030"),
    "until no width": (("--until", "accepted_share"), "VPG1030"),
    "until no figure": (("--until", "±1%"), "VPG1030"),
    "until a minus": (("--until", "accepted_share-0.1%"), "VPG1030"),
    "until an exponent": (("--until", "charges_yen±1e3"), "VPG1030"),
    "until not a number": (("--until", "charges_yen±nan"), "VPG1030"),
    "until endless": (("--until", "charges_yen±inf"), "VPG1030"),
    "until negative": (("--until", "charges_yen±-1"), "VPG1030"),
    "until per mille": (("--until", "accepted_share±1‰"), "VPG1030"),
    "until twice": (("--until", "accepted_share±1%±1%"), "VPG1030"),
    "until a huge text": (("--until", "a" * 100_000), "VPG1030"),
    "until a huge number": (("--until", f"charges_yen±{'9' * 400}"), "VPG1030"),
    "until an unknown figure": (("--until", "acepted_share±1%"), "VPG1013"),
    "until a width of zero": (("--until", "accepted_share±0%"), "VPG1031"),
    "until zero yen": (("--until", "charges_yen±0.000"), "VPG1031"),
    "until a bare share": (("--until", "throttled_share±0.1"), "VPG1032"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_option_is_told_and_leaves_nothing(name: str, in_tmp: Path) -> None:
    words, number = BAD[name]
    for lang in ("en", "ja"):
        answer = vpg(*RUN, "--lang", lang, *words)
        assert (answer.code, answer.numbers, answer.out) == (ExitCode.USAGE, [number], "")
    assert list(in_tmp.iterdir()) == []


def test_a_near_miss_is_answered_with_the_figure_meant() -> None:
    assert 'Did you mean "accepted_share"?' in vpg(*RUN, "--until", "acepted_share±1%").err


@pytest.mark.parametrize(
    ("text", "figure", "half_width", "relative"),
    [
        ("accepted_share±0.1%", "accepted_share", 0.001, False),
        ("accepted_share+-0.1%", "accepted_share", 0.001, False),
        ("accepted_share+/-0.1%", "accepted_share", 0.001, False),
        (" throttled_share ± 2 % ", "throttled_share", 0.02, False),
        ("refused_attach_share±０．５％", "refused_attach_share", 0.005, False),
        ("delay_us_p99±5%", "delay_us_p99", 0.05, True),
        ("delay_us_p99+-500", "delay_us_p99", 500, False),
        ("charges_yen±100.5", "charges_yen", 100.5, False),
        ("lost_messages±10%", "lost_messages", 0.1, True),
        ("rate_peak_per_s±1", "rate_peak_per_s", 1, False),
        ("lines_peak±1", "lines_peak", 1, False),
    ],
)
def test_until_is_read(text: str, figure: str, half_width: float, relative: bool) -> None:
    found = read_until(text)
    assert (found.figure, found.relative) == (figure, relative)
    assert found.half_width == pytest.approx(half_width, rel=1e-12)


# ---- what is answered ----------------------------------------------------------------------------


def ran(*words: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the document of a run and the rows of its table."""
    document = json.loads(vpg(*RUN, "--json", *words).out)
    text = (Path(document["run_dir"]) / "replications.csv").read_text(encoding="utf-8")
    return document, list(csv.DictReader(text.splitlines()))


def test_a_plain_run_has_no_replications(in_tmp: Path) -> None:
    document = json.loads(vpg(*RUN, "--json", "--workers", "2").out)
    assert document["replications"] is None
    assert not list(in_tmp.rglob("replications.*"))
    assert "Replications" not in vpg("show", document["run_dir"]).out


def test_replications_add_a_table_and_a_section_to_the_plain_run(in_tmp: Path) -> None:
    plain = json.loads(vpg(*RUN, "--json").out)
    document, rows = ran("--replications", "6", "--workers", "1")
    part = document["replications"]
    same = set(plain) - {"run_dir", "replications"}
    assert {key: document[key] for key in same} == {key: plain[key] for key in same}
    assert [row["replication"] for row in rows] == [*"012345"]
    assert rows[0]["digest"] == document["digest"]
    assert len({row["digest"] for row in rows}) == 6
    assert (part["asked"], part["finished"], part["until"]) == (6, 6, None)
    assert part["objectives_met"] == 0
    assert [one["figure"] for one in part["figures"]] == list(FIGURES)
    shares = [int(row["throttled_limited"]) / int(row["attempts_limited"]) for row in rows]
    expected = mean_interval(shares)
    found = part["figures"][FIGURES.index("throttled_share")]
    assert expected.half_width is not None
    assert found["mean"] == pytest.approx(expected.mean * 1e6, abs=0.001)
    assert found["half_width"] == pytest.approx(expected.half_width * 1e6, abs=0.001)
    assert (found["unit"], found["n"], found["method"]) == ("ppm", 6, "replications")
    run_dir = in_tmp / document["run_dir"]
    manifest = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))
    assert {"replications.csv", "replications.parquet"} < set(manifest["files"])
    table = from_parquet(REPLICATIONS, (run_dir / "replications.parquet").read_bytes())
    assert [row.digest for row in table] == [row["digest"] for row in rows]


def test_workers_change_nothing(in_tmp: Path) -> None:
    made = [ran("--replications", "5", "--workers", str(count)) for count in (1, 2)]
    assert made[0][1] == made[1][1]
    assert made[0][0]["replications"] == made[1][0]["replications"]
    assert len(list((in_tmp / "runs").iterdir())) == 2


def test_one_replication_has_values_and_no_interval(in_tmp: Path) -> None:
    assert list(in_tmp.iterdir()) == []
    document, rows = ran("--replications", "1")
    assert len(rows) == 1
    for one in document["replications"]["figures"]:
        assert (one["n"], one["method"], one["half_width"]) == (1, "none", None)
        assert one["smallest"] == one["mean"] == one["largest"]


@pytest.mark.parametrize(
    ("until", "code", "met"),
    [
        ("charges_yen±1", ExitCode.OK, True),
        ("throttled_share+-0.9%", ExitCode.OK, True),
        ("throttled_share±0.0001%", ExitCode.CANNOT_TELL, False),
    ],
)
def test_until_ends_the_sequence_or_cannot_tell(
    until: str, code: int, met: bool, in_tmp: Path
) -> None:
    answer = vpg(*RUN, "--json", "--until", until, "--replications", "12")
    assert answer.code == code
    document = json.loads(answer.out)
    part = document["replications"]
    assert part["until"]["met"] is met
    assert 5 <= part["finished"] <= 12
    assert (part["finished"] == 12) is not met
    assert (in_tmp / document["run_dir"] / "replications.parquet").exists()


def test_cannot_tell_comes_before_no(in_tmp: Path) -> None:
    assert list(in_tmp.iterdir()) == []
    words = (*STORM, "--quiet", "--replications", "5")
    assert vpg(*words).code == ExitCode.ANSWER_IS_NO
    assert vpg(*words, "--until", "throttled_share±0.0001%").code == ExitCode.CANNOT_TELL


def test_the_page_shows_the_table_again_and_again(in_tmp: Path) -> None:
    words = ("--until", "throttled_share±0.9%")
    english = vpg(*RUN, *words)
    run_dir = next((in_tmp / "runs").iterdir())
    assert "throttled_share+-0.9% is reached after" in english.out
    assert "Every objective is met in 0 of" in english.out
    again = vpg("show", str(run_dir)).out
    assert (
        again[again.index("Replications:") :] == english.out[english.out.index("Replications:") :]
    )
    assert "反復" in vpg("show", str(run_dir), "--lang", "ja").out


# ---- stopping ------------------------------------------------------------------------------------


LONG = (
    *("run", "smallest", "--no-charts", "--json", "--replications", "100000"),
    *("--set", "fleets[0].lines=200"),
)


def replicating(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start many replications and wait until some are finished."""
    process = start(*LONG, *words, cwd=folder)
    assert process.stderr is not None
    assert process.stderr.readline() == "Simulating\n"
    assert process.stderr.readline() == "Simulating replications\n"
    time.sleep(2.5)
    return process


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_keeps_what_is_finished(workers: str, in_tmp: Path) -> None:
    process = replicating(in_tmp, "--workers", workers)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.SIGINT, err
    assert "Traceback" not in err
    document = json.loads(out)
    assert (document["status"], document["why_partial"]) == ("partial", "SIGINT")
    finished = document["replications"]["finished"]
    assert 1 <= finished < 100_000
    rows = (in_tmp / document["run_dir"] / "replications.csv").read_text(encoding="utf-8")
    assert len(rows.splitlines()) == finished + 1


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at processes in /proc")
def test_workers_end_with_the_process_that_started_them(in_tmp: Path) -> None:
    process = replicating(in_tmp, "--workers", "2")
    children = children_of(process.pid)
    assert len(children) >= 2
    process.kill()
    process.communicate(timeout=60)
    until_s = time.monotonic() + 30
    while any(alive(child) for child in children) and time.monotonic() < until_s:
        time.sleep(0.1)
    assert [child for child in children if alive(child)] == []


def alive(pid: int) -> bool:
    """Tell whether a process still runs; one that only waits to be buried does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
