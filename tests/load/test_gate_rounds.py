"""The gate's client, its service and its rounds, on real sockets and real processes."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadtests.gate import canaries, revisions, rounds
from loadtests.gate.calls import counted_calls
from loadtests.gate.client import RESENT_EVERY, Client, Order, body, numbers, requests
from loadtests.gate.reference import Reference
from loadtests.gate.service import Launch, ServiceError, cpu_ns, ended, started
from loadtests.gate.slowed import PERCENT, Slowness
from loadtests.gate.values import BUDGETS, FIGURES
from tests.support_cli import start
from vpg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = "2026-04-01T00:00:00.000000Z"


def order(port: int = 0, **values: object) -> Order:
    plain = {"kind": "closed", "at": AT, "first": 0, "requests": 60, "connections": 3}
    return Order(port=port, **{**plain, **values})  # type: ignore[arg-type]


# ---- what is sent --------------------------------------------------------------------------------


def test_some_requests_repeat_an_earlier_one_and_all_others_are_new() -> None:
    told = numbers(order(first=1_000, requests=100))
    assert len(set(told)) == 100 - 100 // RESENT_EVERY
    again = {place: number for place, number in enumerate(told) if number in told[:place]}
    assert set(again) == set(range(RESENT_EVERY - 1, 100, RESENT_EVERY))
    assert min(told) == 1_000


def test_a_request_is_whole_and_the_same_each_time() -> None:
    one = order(requests=20)
    made = requests(one)
    assert made == requests(one)
    assert made[19] == made[9]
    head, _, content = made[3].partition(b"\r\n\r\n")
    assert f"content-length: {len(content)}".encode() in head
    assert content == body(one, 3)
    assert body(order(batch=3), 5).count(b'"id"') == 3


# ---- a service that can be told how to behave ----------------------------------------------------


class Behaviour(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status = 204
    stall_at = -1
    hang_up_at = -1
    seen = 0

    def do_POST(self) -> None:
        kind = type(self)
        self.rfile.read(int(self.headers["content-length"]))
        place, kind.seen = kind.seen, kind.seen + 1
        if place == kind.stall_at:
            time.sleep(0.3)
        if place == kind.hang_up_at:
            self.close_connection = True
            return
        self.send_response(kind.status)
        if kind.status != 204:
            self.send_header("content-length", "5")
        self.end_headers()
        if kind.status != 204:
            self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        return


@contextlib.contextmanager
def behaving(**values: int) -> Iterator[int]:
    kind = type("One", (Behaviour,), values)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def client() -> Iterator[Client]:
    one = Client()
    try:
        yield one
    finally:
        one.close()


@pytest.mark.parametrize("kind", ["closed", "open"])
@pytest.mark.parametrize("status", [204, 200])
def test_every_event_is_acknowledged_once_though_some_are_sent_twice(
    kind: str, status: int
) -> None:
    with behaving(status=status) as port, client() as one:
        found = one.obey(order(port, kind=kind, rate_per_s=400.0))
    assert (found.acknowledged, found.refused, found.unknown) == (57, 0, 0)
    assert len(found.latencies_us) == (60 if kind == "open" else 0)


def test_a_stall_shows_from_the_intended_time_in_all_that_waited() -> None:
    with behaving(stall_at=10) as port, client() as one:
        found = one.obey(order(port, kind="open", connections=1, requests=100, rate_per_s=200.0))
    assert sum(latency > 100_000 for latency in found.latencies_us) >= 0.3 * 100
    assert max(found.late_us) > 100_000, "what could not leave in time is told as late"


def test_what_is_refused_is_no_acknowledgement() -> None:
    with behaving(status=503) as port, client() as one:
        found = one.obey(order(port))
    assert (found.acknowledged, found.refused, found.unknown) == (0, 60, 0)


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_who_hangs_up_leaves_unknown_events_and_no_wait(kind: str) -> None:
    with behaving(hang_up_at=5) as port, client() as one:
        began = time.perf_counter()
        found = one.obey(order(port, kind=kind, connections=1, rate_per_s=500.0))
    assert (found.acknowledged, found.unknown) == (5, 1)
    assert time.perf_counter() - began < 5


# ---- processes -----------------------------------------------------------------------------------


def test_processor_time_of_another_process_counts_in_fine_steps() -> None:
    before = cpu_ns(os.getpid())
    spent = time.process_time_ns()
    while time.process_time_ns() < spent + 3_000_000:
        pass
    grown = cpu_ns(os.getpid()) - before
    assert 3_000_000 <= grown < 100_000_000


def test_no_process_outlives_its_block_whatever_happens() -> None:
    sleeper = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN);"]
    sleeper[-1] += "time.sleep(60)"
    process = subprocess.Popen(sleeper)

    class SignalledError(BaseException):
        pass

    with pytest.raises(SignalledError), ended(process):
        raise SignalledError
    assert process.returncode == -9


def test_a_service_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    words = (sys.executable, "-c", "import sys; sys.exit('no such thing')")
    launch = Launch(command=words, folder=tmp_path, environment=dict(os.environ))
    with pytest.raises(ServiceError, match="no such thing"), started(launch, tmp_path / "a", None):
        pass
    assert not (tmp_path / "a").exists()


def test_calls_are_counted_while_something_happens_and_waits_are_not(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    script = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"
    with ended(
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    ) as echo:
        said, heard = echo.stdin, echo.stdout
        assert said is not None
        assert heard is not None

        def talk() -> None:
            for _ in range(50):
                said.write(b"x\n")
                said.flush()
                heard.readline()

        talk()
        found = counted_calls(echo.pid, talk, tmp_path)
        if found is None:
            pytest.skip("this process may not trace")
        assert found == 100


def test_who_may_not_be_traced_is_not_counted(tmp_path: Path) -> None:
    assert counted_calls(2**22 - 1, never, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_slowness_spins_its_share_of_the_work() -> None:
    slowness, spun, began = Slowness(50), 0, time.process_time_ns()
    slowness.spin()
    for _ in range(20):
        until = time.process_time_ns() + 1_000_000
        while time.process_time_ns() < until:
            pass
        before = time.process_time_ns()
        slowness.spin()
        spun += time.process_time_ns() - before
    work = time.process_time_ns() - began - spun
    assert 0.45 < spun / work < 0.6


def test_canaries_and_reference_read_something(tmp_path: Path) -> None:
    core, before = canaries.gate_core(), canaries.stolen()
    found = canaries.canary(tmp_path, core)
    assert found.cpu_us > 0
    assert found.sync_us > 0
    machine = canaries.machine(core, before)
    assert machine.core == core
    assert 0 <= machine.steal <= 1
    reference = Reference(tmp_path)
    cpu_us, wall_us = reference.work()
    reference.close()
    assert 0 < cpu_us <= wall_us * 1.1


# ---- rounds --------------------------------------------------------------------------------------


def test_a_round_of_real_services_counts_every_event_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "TURNS", 1)
    monkeypatch.setattr(rounds, "WARM_TURNS", 1)
    plain = revisions.head().launch
    slow = Launch(
        command=(plain.command[0], "-m", "loadtests.gate.slowed", "serve"),
        folder=plain.folder,
        environment={**plain.environment, PERCENT: "100"},
    )
    heard: list[None] = []
    found, rate_per_s = rounds.restarts(
        {"base": plain, "slow": slow},
        rounds.Shape(restarts=1, rounds=2, seed=1),
        folder=tmp_path,
        core=canaries.gate_core(),
        rate_per_s=0.0,
        progress=lambda: heard.append(None),
    )
    assert rate_per_s > 0
    assert len(heard) == 2
    (restart,) = found
    for count in restart.counts.values():
        assert (count.lost, count.doubled, count.refused, count.unknown) == (0, 0, 0, 0)
        assert count.acknowledged > 2_000
    base, slowed = (restart.budgets[name] for name in ("base", "slow"))
    assert base["commits_singles"] == slowed["commits_singles"] == 1_000
    assert base["commits_batches"] == slowed["commits_batches"] == 10
    assert set(base) <= set(BUDGETS)
    for one in restart.rounds:
        assert all(f.of(sample) > 0 for sample in one.samples.values() for f in FIGURES)
        ratio = one.samples["slow"].cpu_us_per_single / one.samples["base"].cpu_us_per_single
        assert ratio > 1.4
    left = [path.name for path in tmp_path.iterdir() if not path.name.startswith("reference.")]
    assert left == [], "stores go with their services"


def running(folder: Path) -> list[bytes]:
    """Return the command lines of processes that name ``folder``."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes()
            if str(folder).encode() in words:
                found.append(words)
    return found


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_process_and_no_folder(signum: int, code: int, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    words = ("gate", "--save", "gate.json", "--work", str(work))
    process = start(*words, cwd=tmp_path, TMPDIR=str(tmp_path))
    patience = time.monotonic() + 60
    while len(running(work)) < 3 and time.monotonic() < patience:  # itself and two services
        time.sleep(0.02)
    assert len(running(work)) >= 3
    process.send_signal(signum)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert running(work) == []
    assert [one.name for one in tmp_path.iterdir()] == ["work"]
    assert list(work.iterdir()) == []


# ---- revisions -----------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a small checkout of two commits, in the place of this one."""
    folder = tmp_path / "clone"
    folder.mkdir()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setattr(revisions, "ROOT", folder)
    git(folder, "init", "-q", "-b", "main")
    for text in ("one", "two"):
        (folder / "code").write_text(text, encoding="utf-8")
        (folder / "constraints.txt").write_text("", encoding="utf-8")
        git(folder, "add", "-A")
        git(folder, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", text)
    return folder


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def never() -> None:
    raise AssertionError("the pins are the same")


def test_the_base_is_checked_out_apart_and_gone_afterwards(clone: Path, tmp_path: Path) -> None:
    with revisions.base("HEAD~1", tmp_path, never) as side:
        assert (side.launch.folder / "code").read_text(encoding="utf-8") == "one"
        assert side.launch.environment["PYTHONPATH"] == str(side.launch.folder)
        assert side.revision.commit == git(clone, "rev-parse", "HEAD~1")
        assert len(git(clone, "worktree", "list").splitlines()) == 2
    assert len(git(clone, "worktree", "list").splitlines()) == 1
    assert not (tmp_path / "base").exists()
    with pytest.raises(KeyboardInterrupt), revisions.base("HEAD~1", tmp_path, never):
        raise KeyboardInterrupt
    assert len(git(clone, "worktree", "list").splitlines()) == 1


def test_other_pins_ask_for_an_environment(clone: Path, tmp_path: Path) -> None:
    (clone / "constraints.txt").write_text("# other\n", encoding="utf-8")
    asked: list[None] = []

    class StoppedError(Exception):
        pass

    def installing() -> None:
        asked.append(None)
        raise StoppedError

    with pytest.raises(StoppedError), revisions.base("HEAD", tmp_path, installing):
        pass
    assert asked
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize("name", ["nowhere", "--help", "", "HEAD~9"])
def test_an_unknown_revision_is_told(name: str, clone: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as told, revisions.base(name, tmp_path, never):
        pass
    assert [problem.code for problem in told.value.problems] == ["VPG1951"]
    assert clone.exists()


def test_without_git_there_is_no_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "ROOT", tmp_path)
    with pytest.raises(InputError) as told, revisions.base("main", tmp_path, never):
        pass
    assert [problem.code for problem in told.value.problems] == ["VPG1950"]
    assert revisions.head().revision.name == "installed"


def test_changed_files_are_told(clone: Path) -> None:
    assert not revisions.head().revision.changed
    (clone / "code").write_text("three", encoding="utf-8")
    assert revisions.head().revision.changed
