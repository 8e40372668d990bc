"""``vpg load`` on a real service: figures equal to the store's, stalls told, faults survived."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from loadtests.histogram import Histogram
from loadtests.locust_run import free_port
from tests.support_cli import start
from tests.support_load import children_of, counted, document, meanwhile, until
from tests.support_serve import serving
from vpg.rundir import read_run
from vpg.timebase import SECOND_US, to_utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support_serve import Serving

MS = 1_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("service")) as one:
        yield one


def hourly(one: Serving, column: str) -> int:
    rows = httpx.get(f"{one.url()}/v1/hourly").json()
    return sum(row[column] for row in rows)


def of(found: dict[str, Any], column: str) -> dict[str, int]:
    """Return the figures of ``column``, over all hours."""
    rows = [row for row in found["compared"] if row["column"] == column]
    return {name: sum(row[name] for row in rows) for name in ("acknowledged", "stored")}


def test_two_processes_together_are_what_the_store_has(service: Serving, tmp_path: Path) -> None:
    before = {name: hourly(service, name) for name in ("accepted_beam", "accepted_funk")}
    words = ("--batch", "7", "--duplicates", "20", "--service", "beam", "--service", "funk")
    code, found = document(
        tmp_path, "rating", "--target", service.url(), "--processes", "2", "--rate", "100",
        "--for-s", "3", *words,
    )  # fmt: skip
    assert (code, found["verdict"]) == (0, "agrees")
    generator = found["generator"]
    assert generator["processes"] == 2
    assert len(generator["cpu_percent"]) == 2
    assert (generator["sent"], generator["intended"]) == (300, 300)
    assert generator["events"] + generator["duplicates"] == 2_100
    assert generator["duplicates"] > 200
    grown = 0
    for name, was in before.items():
        grew = hourly(service, name) - was
        assert grew == of(found, name)["stored"] == of(found, name)["acknowledged"] > 0
        grown += grew
    assert grown == generator["events"], "a copy counts once"
    assert found["latency_us"]["count"] == 300
    assert Histogram(found["histograms"]["latency"]).spread().p99 == found["latency_us"]["p99"]
    _reads_back(tmp_path, found)


def _reads_back(folder: Path, found: dict[str, Any]) -> None:
    """Look into the run directory: like the simulator's, with everything of the load."""
    run = read_run(folder / found["run_dir"])
    assert run.status == "complete"
    assert run.rows[-1].accepted_beam >= of(found, "accepted_beam")["stored"]
    assert {row.vpg_id for row in run.charges} == {"gate"}
    assert run.summary["sent"] == found["generator"]["sent"]
    assert json.loads((run.path / "load.json").read_bytes()) == found
    assert {"bill.json", "hourly.csv", "locust.log"} <= {p.name for p in run.path.iterdir()}


def test_a_stall_of_one_second_in_ten_is_at_p99(tmp_path: Path) -> None:
    with serving(tmp_path) as one:

        def stall() -> None:
            os.kill(one.ready["pid"], signal.SIGSTOP)
            time.sleep(1.0)
            os.kill(one.ready["pid"], signal.SIGCONT)

        with meanwhile(one, 200, stall):
            code, found = document(
                tmp_path, "rating", "--target", one.url(), "--rate", "100", "--for-s", "10",
                "--lateness-ms", "500",
            )  # fmt: skip
    assert (code, found["verdict"]) == (0, "agrees")
    latency = found["latency_us"]
    assert latency["count"] == 1_000
    # One request in ten waits for the end of the stall: evenly from 0 to 1 s.
    assert 350 * MS < latency["p95"] < 700 * MS, latency
    assert 800 * MS < latency["p99"] < 1_200 * MS, latency
    assert latency["p50"] < 100 * MS
    assert found["generator"]["pool_waits"] == 0


def test_a_generator_without_room_makes_the_run_invalid(service: Serving, tmp_path: Path) -> None:
    code, found = document(
        tmp_path, "rating", "--target", service.url(), "--rate", "500", "--for-s", "1",
        "--connections", "1", "--law", "poisson",
    )  # fmt: skip
    assert (code, found["verdict"]) == (5, "invalid")
    assert "connections" in found["generator"]["invalid_because"]
    assert (found["lost"], found["doubled"]) == (0, 0)


@pytest.mark.long
def test_what_somebody_else_counted_meanwhile_is_a_difference(
    service: Serving, tmp_path: Path
) -> None:
    def intrude() -> None:
        now = to_utc(time.time_ns() // 1_000 // SECOND_US * SECOND_US).isoformat()
        data = {"operatorId": "OP0000000001", "vpgId": "gate", "service": "beam"}
        one = {
            "specversion": "1.0",
            "type": "request.v1",
            "source": "urn:intruder",
            "id": str(time.time_ns()),
            "time": now,
            "data": {**data, "outcome": "accepted", "bytesUp": 5},
        }
        answer = httpx.post(f"{service.url()}/v1/usage-events", json=one)
        assert answer.status_code == 204, answer.text

    with meanwhile(service, 5, intrude):
        code, found = document(
            tmp_path, "rating", "--target", service.url(), "--rate", "20", "--for-s", "2"
        )
    assert (code, found["verdict"]) == (4, "disagrees")
    assert (found["lost"], found["doubled"]) == (0, 1)


def test_killed_in_the_middle_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    code, found = document(
        tmp_path, "rating", "--fault", "kill", "--faults", "1", "--scenario", "smallest",
        "--rate", "200", "--for-s", "4",
    )  # fmt: skip
    assert (code, found["lost"], found["doubled"]) == (0, 0, 0)
    assert found["fault"]["kind"] == "kill"
    assert len(found["fault"]["at_s"]) == 1
    assert found["resolved"] > 50, "the kill was noticed"
    assert of(found, "accepted_beam") == {"acknowledged": 800, "stored": 800}
    assert all(bill["rated_again"] and not bill["differences"] for bill in found["bills"])


def test_ctrl_c_leaves_no_process(service: Serving, tmp_path: Path) -> None:
    before = counted(service)
    process = start(
        "load", "rating", "--target", service.url(), "--rate", "50", "--for-s", "60",
        "--processes", "2", cwd=tmp_path,
    )  # fmt: skip
    until(lambda: counted(service) > before + 20)
    assert len(children_of(process.pid)) == 3
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert children_of(process.pid) == []
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.long
def test_a_load_whose_command_is_killed_ends_by_itself(service: Serving, tmp_path: Path) -> None:
    before = counted(service)
    process = start(
        "load", "rating", "--target", service.url(), "--rate", "50", "--for-s", "60",
        "--processes", "2", cwd=tmp_path,
    )  # fmt: skip
    until(lambda: counted(service) > before + 20)
    process.kill()
    process.communicate()
    until(lambda: children_of(process.pid) == [], 10)


@pytest.mark.long
def test_a_worker_of_its_own_takes_the_load_of_a_master(service: Serving, tmp_path: Path) -> None:
    port = free_port()
    master = ("--master", f"127.0.0.1:{port}")
    process = start(
        "load", "gateway", "--ready-file", str(tmp_path / "ready.json"), "--rate", "30",
        "--for-s", "3", *master, "--json", cwd=_ready(service, tmp_path),
    )  # fmt: skip
    worker = start("load", "worker", "gateway", *master, cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["generator"]["sent"] == 90
    assert worker.communicate(timeout=20) is not None
    assert worker.returncode == 0


def _ready(service: Serving, folder: Path) -> Path:
    (folder / "ready.json").write_text(json.dumps(service.ready))
    return folder


def test_throttled_requests_are_stored_as_such(service: Serving, tmp_path: Path) -> None:
    _ready(service, tmp_path)
    code, found = document(
        tmp_path, "gateway", "--ready-file", "ready.json", "--rate", "60", "--for-s", "3",
        "--service", "beam", "--service", "funnel", "--law", "poisson",
    )  # fmt: skip
    assert (code, found["verdict"]) == (0, "agrees")
    for name in ("accepted_beam", "accepted_funnel", "throttled_beam", "throttled_funnel"):
        assert of(found, name)["acknowledged"] == of(found, name)["stored"] > 0
    assert found["answers"]["429"] == sum(
        of(found, name)["stored"] for name in ("throttled_beam", "throttled_funnel")
    )
    assert of(found, "bytes_down")["stored"] == 64 * of(found, "accepted_beam")["stored"]


@pytest.mark.long
@pytest.mark.parametrize("fault", ["kill", "broker", "slow-disk", "slow-upstream"])
def test_a_gateway_with_a_fault_keeps_its_count(fault: str, tmp_path: Path) -> None:
    import shutil

    if fault == "broker" and not shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin"):
        pytest.skip("mosquitto is not installed")
    code, found = document(
        tmp_path, "gateway", "--fault", fault, "--fault-ms", "300", "--scenario", "smallest",
        "--rate", "25", "--for-s", "9",
    )  # fmt: skip
    assert (code, found["lost"], found["doubled"]) == (0, 0, 0)
    assert of(found, "accepted_beam")["stored"] > 40
    if fault == "broker":
        assert of(found, "failed_upstream_beam")["stored"] > 0
    if fault in {"slow-disk", "slow-upstream"}:
        assert found["latency_us"]["p90"] > 280 * MS


@pytest.mark.long
@pytest.mark.parametrize("fault", ["kill", "slow-disk"])
def test_many_events_through_a_fault(fault: str, tmp_path: Path) -> None:
    code, found = document(
        tmp_path, "rating", "--fault", fault, "--faults", "4", "--scenario", "smallest",
        "--rate", "100", "--batch", "20", "--duplicates", "10", "--for-s", "20",
    )  # fmt: skip
    assert (code, found["lost"], found["doubled"]) == (0, 0, 0)
    assert of(found, "accepted_beam")["stored"] == found["generator"]["events"] > 30_000
