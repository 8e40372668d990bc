"""What ``vpg load`` refuses, with which number and exit code, before anything is sent."""

from __future__ import annotations

import http.server
import json
import resource
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from loadtests.target import CannotTellError, Target
from tests.support_cli import vpg
from tests.support_service import Running, running, usage
from vpg.cli import loading
from vpg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def answering(answers: dict[str, Any]) -> Iterator[str]:
    """Serve ``answers`` (path → JSON) on a free port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path.partition("?")[0])).encode()
            self.send_response(200 if self.path.partition("?")[0] in answers else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def nobody() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        (("rating", "--target", "http://192.0.2.1:8090"), "VPG1901", 2),
        (("rating", "--target", "https://127.0.0.1:8090"), "VPG1902", 2),
        (("rating", "--target", "127.0.0.1"), "VPG1902", 2),
        (("rating", "--target", "http://127.0.0.1:99999"), "VPG1902", 2),
        (("rating", "--rate", "50001"), "VPG1017", 2),
        (("rating", "--for-s", "3601"), "VPG1017", 2),
        (("rating", "--connections", "10001"), "VPG1017", 2),
        (("rating", "--processes", "17"), "VPG1017", 2),
        (("rating", "--batch", "101"), "VPG1017", 2),
        (("rating", "--service", "bean"), "VPG1013", 2),
        (("gateway", "--service", "ip"), "VPG1013", 2),
        (("gateway", "--batch", "2"), "VPG1010", 2),
        (("rating", "--steps", "10x"), "VPG1030", 2),
        (("rating", "--steps", "1x1", "--law", "poisson"), "VPG1908", 2),
        (("rating", "--law", "scenario"), "VPG1918", 2),
        (("rating", "--fault", "kill"), "VPG1918", 2),
        (("rating", "--fault", "broker", "--scenario", "smallest"), "VPG1913", 2),
        (
            ("rating", "--fault", "kill", "--scenario", "smallest", "--target", "http://[::1]:1"),
            "VPG1913",
            2,
        ),
        (("rating", "--demand", "none.csv"), "VPG1024", 3),
        (("rating", "--ready-file", "none.json"), "VPG1904", 3),
        (("rating", "--token-file", "none"), "VPG1024", 3),
        (("worker", "rating", "--master", "here"), "VPG1030", 2),
        (("worker", "fleet", "--master", "127.0.0.1:1"), "VPG1013", 2),
    ],
)
def test_a_wrong_command_line_is_refused(
    words: tuple[str, ...], number: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = vpg("load", *words)
    assert (answer.code, answer.numbers) == (code, [number]), answer.err
    assert list(tmp_path.iterdir()) == []


def test_nobody_there_and_somebody_else_there(tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "runs"))
    answer = vpg("load", "rating", "--target", nobody(), *out)
    assert (answer.code, answer.numbers) == (3, ["VPG1903"])
    with answering({"/": {}}) as url:
        answer = vpg("load", "rating", "--target", url, *out)
        assert (answer.code, answer.numbers) == (3, ["VPG1904"])
    with answering({"/readyz": {"status": "ok"}, "/openapi.json": {"paths": {"/x": {}}}}) as url:
        answer = vpg("load", "rating", "--target", url, *out)
        assert (answer.code, answer.numbers) == (3, ["VPG1904"])
    assert list(tmp_path.iterdir()) == []


def test_more_files_than_there_may_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1_024))
    answer = vpg("load", "rating", "--connections", "5000")
    assert (answer.code, answer.numbers) == (3, ["VPG1907"])


def test_a_busy_port_for_workers_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as one, socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        answer = vpg(
            "load", "rating", "--target", one.url(), "--master", f"127.0.0.1:{port}",
            "--out", str(tmp_path / "runs"),
        )  # fmt: skip
    assert (answer.code, answer.numbers) == (3, ["VPG1909"])


def test_a_target_that_counts_by_itself_is_loaded_already(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        stop = threading.Event()
        thread = threading.Thread(target=_count, args=(one, stop))
        thread.start()
        try:
            with Target(one.url()) as target, pytest.raises(CannotTellError) as told:
                target.check_at_rest()
        finally:
            stop.set()
            thread.join()
        assert told.value.problem.code == "VPG1905"
        assert told.value.exit_code == 5
        with Target(one.url()) as target:
            target.check_at_rest()


def _count(one: Running, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(0.01):
        number += 1
        one.call(one.parts.counter.count([usage(f"n{number}", one.now_us)]))


def test_a_wrong_token_is_refused(tmp_path: Path) -> None:
    from vpg.service.http.auth import read_tokens

    tokens = read_tokens("* 0123456789abcdef0123\n", "t")
    with running(tmp_path, tokens=tokens) as one:
        with Target(one.url()) as target, pytest.raises(InputError) as told:
            target.lines(1)
        assert [problem.code for problem in told.value.problems] == ["VPG1906"]
        with Target(one.url(), "0123456789abcdef0123") as target:
            target.check()
            assert len(target.lines(5)) == 5


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("s,rate\n0,10\n5,20\n", []),
        ("0,10\n5,20\n", []),
        ("0,10\n0,20\n", ["VPG1916"]),
        ("0,10\nx,y\n-1,3\n2,60000\n", ["VPG1916"] * 3),
        ("0,10\n", ["VPG1916"]),
        ("0,10\n1,nan\n", ["VPG1916"]),
        ("", ["VPG1916"]),
    ],
)
def test_every_bad_row_of_a_curve_is_told(text: str, numbers: list[str], tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(text)
    if not numbers:
        assert loading.demand_asked(str(path))[0] == (0.0, 10.0)
        return
    with pytest.raises(InputError) as told:
        loading.demand_asked(str(path))
    assert [problem.code for problem in told.value.problems] == numbers
