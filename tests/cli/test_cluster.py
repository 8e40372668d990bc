"""``--cluster``: the same tables from other processes, whoever of them is lost; clear refusals.

Every cluster is on the loopback device and started here; processes are ended by their own ids.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from sim.faraway import versions
from tests.support import ROOT
from tests.support_cli import start, vpg
from tests.support_cluster import Endless, cluster
from vpg.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sim.pool import Job
    from tests.support_cluster import LocalCluster

SWEEP = (
    *("sweep", "alarm-storm", "--no-charts", "--replications", "5", "--quiet"),
    *("--over", "fleets.seismic.lines=100..300:100"),
)
LONGER = (
    *("sweep", "alarm-storm", "--no-charts", "--replications", "8", "--quiet"),
    *("--over", "fleets.seismic.lines=200..800:200"),
)
RUN = (
    *("run", "alarm-storm", "--no-charts", "--quiet", "--no-fail-on-objectives"),
    *("--set", "fleets[0].lines=200", "--replications", "7"),
)
SWEPT = ("sweep.csv", "sweep.parquet", "replications.csv", "replications.parquet")
RAN = ("replications.csv", "replications.parquet", "hourly.csv")


def tables(runs: Path, names: tuple[str, ...]) -> list[bytes]:
    """Return the bytes of the one result below ``runs``; nothing else may be there."""
    [found] = runs.iterdir()
    return [(found / name).read_bytes() for name in names]


def asked(*words: str, folder: Path) -> tuple[int, str]:
    """Run a command as a process of its own; return its exit code and what it said on stderr."""
    folder.mkdir(exist_ok=True)
    process = start(*words, cwd=folder)
    _, err = process.communicate(timeout=240)
    return process.returncode, err


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


def test_a_cluster_makes_the_same_tables_and_says_nothing_of_its_own(
    running: LocalCluster, in_tmp: Path
) -> None:
    for words, names in ((SWEEP, SWEPT), (RUN, RAN)):
        here, there = in_tmp / f"{words[0]}-here", in_tmp / f"{words[0]}-there"
        assert asked(*words, "--workers", "1", folder=here) == (ExitCode.OK, "")
        assert asked(*words, "--cluster", running.address, folder=there) == (ExitCode.OK, "")
        assert tables(there / "runs", names) == tables(here / "runs", names)


def test_data_files_travel_with_the_work(running: LocalCluster, in_tmp: Path) -> None:
    (in_tmp / "data").mkdir()
    text = (
        "vpgsim: 1\nname: curve\nstart: 2026-04-01T09:00:00+09:00\nduration_h: 1\n"
        "vpgs: [{id: g, type: C, size: small}]\nfleets: [{name: f, vpg: g, lines: 5, "
        "traffic: [{kind: demand_curve, file: data/a.csv}]}]\n"
    )
    (in_tmp / "mine.yaml").write_text(text, encoding="utf-8")
    head = "begins_at,ends_at,messages\n2026-04-01T09:00:00+09:00,2026-04-01T10:00:00+09:00,"
    for name, messages in (("a.csv", 50), ("b.csv", 500)):
        (in_tmp / "data" / name).write_text(f"{head}{messages}\n", encoding="utf-8")
    over = ("--over", "fleets.f.traffic.0.file=data/a.csv,data/b.csv", "--replications", "2")
    for out, more in (("here", ("--workers", "1")), ("there", ("--cluster", running.address))):
        answer = vpg("sweep", "mine.yaml", "--no-charts", "--quiet", *over, *more, "--out", out)
        assert answer.code == ExitCode.OK, answer.err
    assert tables(in_tmp / "there", SWEPT) == tables(in_tmp / "here", SWEPT)


def test_until_ends_where_it_ends_here(running: LocalCluster, in_tmp: Path) -> None:
    words = (*SWEEP[:3], "--quiet", *SWEEP[6:], "--until", "throttled_share±1%")
    for folder, more in (("here", ("--workers", "1")), ("there", ("--cluster", running.address))):
        assert asked(*words, *more, folder=in_tmp / folder)[0] == ExitCode.OK
    assert tables(in_tmp / "there" / "runs", SWEPT) == tables(in_tmp / "here" / "runs", SWEPT)


def test_other_code_is_refused_before_anything_is_computed(
    running: LocalCluster, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sim import cluster as module

    ours = versions()
    for name in ours:
        monkeypatch.setattr(module, "_own_versions", lambda name=name: {**ours, name: "0.0.other"})
        for words in (SWEEP, RUN):
            answer = vpg(*words, "--cluster", running.address)
            assert (answer.code, answer.numbers) == (ExitCode.CANNOT_TELL, ["VPG1486"])
            assert f"{name} {ours[name]} there, {name} 0.0.other here" in answer.err
    assert list(in_tmp.iterdir()) == []


def test_a_worker_that_joins_later_with_other_code_computes_nothing(
    running: LocalCluster, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sim import cluster as module

    monkeypatch.setattr(module, "code_identity", lambda: "another")
    answer = vpg(*SWEEP, "--cluster", running.address)
    assert (answer.code, answer.numbers) == (ExitCode.CANNOT_TELL, ["VPG1486"])
    [left] = (in_tmp / "runs").iterdir()
    assert (left / "points.jsonl").read_bytes() == b""


def test_what_nobody_waits_for_is_stopped_on_the_workers(
    running: LocalCluster, tmp_path: Path
) -> None:
    from sim.cluster import connected

    def told(end: str) -> list[str]:
        return sorted(path.name for path in tmp_path.glob(f"*-{end}"))

    def waited_for(end: str, count: int) -> list[str]:
        until = time.monotonic() + 30
        while len(told(end)) < count and time.monotonic() < until:
            time.sleep(0.02)
        return told(end)

    with connected(running.address) as far:
        job: Job[int, None] = Endless(tmp_path)
        crew = far.crew(job, most=4, show=lambda _: None, stop=lambda: False)
        for task in range(4):
            assert crew.has_room
            crew.give(task)
        assert not crew.has_room
        assert len(waited_for("began", 2)) == 2
        assert list(crew.finished()) == []
        crew.end()
        assert len(waited_for("stopped", 2)) == 2
        assert told("forgotten") == []
        assert len(told("began")) == 2, "two threads, so two others were never begun"


# ---- no cluster ----------------------------------------------------------------------------------


def silent() -> socket.socket:
    """Return a door behind which nobody speaks."""
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    door.listen(5)
    return door


def test_nobody_or_a_stranger_at_the_address_is_told_within_seconds(in_tmp: Path) -> None:
    with silent() as door, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for port in (door.getsockname()[1], closed.getsockname()[1]):
            began = time.monotonic()
            answer = vpg(*SWEEP, "--cluster", f"tcp://127.0.0.1:{port}")
            assert (answer.code, answer.numbers) == (ExitCode.CANNOT_TELL, ["VPG1484"])
            assert "dask scheduler" in answer.err
            assert time.monotonic() - began < 15
    assert list(in_tmp.iterdir()) == []


def test_a_worker_is_no_scheduler_and_a_scheduler_alone_is_no_cluster(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=0) as alone:
        code, err = asked(*SWEEP, "--cluster", alone.address, folder=tmp_path / "empty")
        assert (code, "VPG1485" in err) == (ExitCode.CANNOT_TELL, True)
        assert "distributed" not in err
        code, err = asked(
            *SWEEP, "--cluster", alone.address.replace("tcp", "tls"), folder=tmp_path / "tls"
        )
        assert (code, "VPG1484" in err) == (ExitCode.CANNOT_TELL, True)


def test_without_the_extra_it_says_what_to_install(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "sim.cluster", raising=False)
    monkeypatch.delattr("sim.cluster", raising=False)
    answer = vpg(*SWEEP, "--cluster", "tcp://127.0.0.1:8786")
    assert (answer.code, answer.numbers) == (ExitCode.USAGE, ["VPG1483"])
    assert 'pip install "vpgsim[cluster]"' in answer.err
    assert list(in_tmp.iterdir()) == []


ADDRESSES = ("", "tcp://", "127.0.0.1:8786", "tcp://h", "http://h:1", "tcp://h:0", "tcp://h:65536")


@pytest.mark.parametrize("address", [*ADDRESSES, "tcp://a b:1", "tcp://u@h:1", "tcp://h:1/x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    for lang in ("en", "ja"):
        for words in (SWEEP, RUN):
            answer = vpg(*words, "--lang", lang, "--cluster", address)
            assert (answer.code, answer.numbers) == (ExitCode.USAGE, ["VPG1030"])


def test_options_that_contradict_a_cluster_are_refused() -> None:
    there = ("--cluster", "tcp://127.0.0.1:8786")
    for words in (SWEEP, RUN):
        answer = vpg(*words, *there, "--workers", "2")
        assert (answer.code, answer.numbers) == (ExitCode.USAGE, ["VPG1029"])
    answer = vpg("run", "smallest", *there)
    assert (answer.code, answer.numbers) == (ExitCode.USAGE, ["VPG1046"])


def test_dask_is_imported_only_for_a_cluster(in_tmp: Path) -> None:
    code = (
        "import sys\nfrom vpg.cli.main import run\n"
        f"code = run({list(SWEEP[:4])!r} + ['2', '--quiet', '--over', 'seed=1'])\n"
        "assert 'sim.points' in sys.modules\n"
        "sys.exit(code or any(name in sys.modules for name in ('dask', 'distributed')))\n"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=in_tmp, env=environment, check=False)
    assert done.returncode == 0


# ---- lost ones -----------------------------------------------------------------------------------


def finished(folder: Path) -> int:
    """Return how many runs the journal has."""
    for journal in folder.glob("runs/*.partial/points.jsonl"):
        return journal.read_bytes().count(b"\n")
    return 0


def disturbed(found: LocalCluster, folder: Path, runs: int, what: Callable[[], None]) -> str:
    """Start the longer sweep, do ``what`` once ``runs`` are finished, return the end and stderr."""
    folder.mkdir()
    process = start(*LONGER, "--cluster", found.address, cwd=folder)
    until = time.monotonic() + 120
    while finished(folder) < runs and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, "it was too quick to be disturbed"
    what()
    _, err = process.communicate(timeout=240)
    return f"{process.returncode} {err}"


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("here")
    assert asked(*LONGER, folder=folder) == (ExitCode.OK, "")
    return tables(folder / "runs", SWEPT)


@pytest.mark.long
@pytest.mark.parametrize("runs", [1, 9, 20])
def test_a_lost_workers_runs_are_computed_again_and_none_counts_twice(
    runs: int, expected: list[bytes], tmp_path: Path
) -> None:
    with cluster(tmp_path / "cluster") as found:
        said = disturbed(found, tmp_path / "x", runs, found.workers[0].kill)
        assert said == "0 "
        assert tables(tmp_path / "x" / "runs", SWEPT) == expected


@pytest.mark.long
def test_every_worker_may_be_replaced(expected: list[bytes], tmp_path: Path) -> None:
    with cluster(tmp_path / "cluster") as found:

        def replace_all() -> None:
            for worker in list(found.workers):
                worker.kill()
            found.add_worker()

        assert disturbed(found, tmp_path / "x", 3, replace_all) == "0 "
        assert tables(tmp_path / "x" / "runs", SWEPT) == expected


@pytest.mark.long
def test_a_lost_scheduler_ends_with_6_and_the_same_command_goes_on_here(
    expected: list[bytes], tmp_path: Path
) -> None:
    with cluster(tmp_path / "cluster") as found:
        assert found.scheduler is not None
        said = disturbed(found, tmp_path / "x", 5, found.scheduler.kill)
    assert said.startswith("6 ")
    assert "VPG1487" in said
    assert "Traceback" not in said
    assert "distributed." not in said
    assert 5 <= finished(tmp_path / "x") < 32
    assert asked(*LONGER, folder=tmp_path / "x") == (ExitCode.OK, "")
    assert tables(tmp_path / "x" / "runs", SWEPT) == expected


@pytest.mark.long
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_stopped_it_goes_on_and_no_work_is_left_on_the_cluster(
    signum: signal.Signals, expected: list[bytes], tmp_path: Path
) -> None:
    import distributed

    folder = tmp_path / "x"
    folder.mkdir()
    with cluster(tmp_path / "cluster") as found:
        process = start(*LONGER, "--cluster", found.address, cwd=folder)
        while finished(folder) < 4 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signum)
        process.communicate(timeout=60)
        assert process.returncode == (130 if signum is signal.SIGINT else -9)
        with distributed.Client(found.address, set_as_default=False) as client:
            until = time.monotonic() + 20
            while any(client.processing().values()) and time.monotonic() < until:
                time.sleep(0.05)
            assert not any(client.processing().values())
        assert asked(*LONGER, "--cluster", found.address, folder=folder) == (ExitCode.OK, "")
    assert tables(folder / "runs", SWEPT) == expected
