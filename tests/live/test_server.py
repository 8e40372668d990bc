"""The service as a whole: begins, goes on after an end, shares a store, keeps its own clock."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support_postgres import database
from tests.support_service import OPERATOR, Running, entry, order, plan, running, usage, wire
from vpg.errors import InputError
from vpg.rating.ledger import BillingState
from vpg.service import ownership
from vpg.service.plan import PORTS, Tls
from vpg.service.values import Bounds, Upstream
from vpg.timebase import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def events(one: Running) -> list[str]:
    """Return what the log told, in order."""
    return [json.loads(line)["event"] for line in one.log.getvalue().splitlines()]


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until ``holds``; fail if it never does."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.01)


def beam(one: Running, number: int = 1, **named: Any) -> httpx.Response:
    headers = {"x-vpg-line": entry(number).sim_id}
    return httpx.post(one.url("/", "beam"), headers=headers, content=b"x", **named)


# ---- from one life to the next -------------------------------------------------------------------


def test_whatever_was_changed_goes_on_in_the_next_life(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        assert beam(one).status_code == 200
        assert httpx.post(one.url(f"/v1/lines/{entry(2).sim_id}/session")).status_code == 201
        lost = one.url(f"/v1/lines/{entry(2).sim_id}/session?lost=true")
        assert httpx.delete(lost).json() == {"ended": True}
        suspended = {"status": "suspended"}
        where = one.url(f"/v1/lines/{entry(3).sim_id}")
        assert httpx.patch(where, json=suspended).status_code == 200
        assert httpx.post(one.url("/v1/vpgs/other/terminate")).status_code == 200
        new = {"vpgId": "v3", "operatorId": OPERATOR, "type": "C", "size": "large"}
        assert httpx.post(one.url("/v1/vpgs"), json=new).status_code == 201
        before = {vpg["vpgId"]: vpg for vpg in httpx.get(one.url("/v1/vpgs")).json()}
        lines = httpx.get(one.url("/v1/lines")).json()
        time.sleep(1.2)  # Peaks are told when their second is over.
        hours = httpx.get(one.url("/v1/hourly")).json()
    with running(tmp_path) as again:
        after = {vpg["vpgId"]: vpg for vpg in httpx.get(again.url("/v1/vpgs")).json()}
        assert set(before) == {"v1", "v3"}
        for vpg in (*before.values(), *after.values()):
            del vpg["sessionStats"]["lastUpdatedAt"], vpg["requestsLastSecond"]
        assert after == before
        assert before["v1"]["sessionStats"] == {"online": 2, "ghosts": 1}
        assert httpx.get(again.url("/v1/lines")).json() == lines
        assert httpx.get(again.url("/v1/hourly")).json() == hours
        # The ghost is replaced by its line's next session, as in the life before.
        assert beam(again, 2).status_code == 200
        assert httpx.get(again.url("/v1/vpgs/v1")).json()["sessionStats"]["ghosts"] == 0


def test_a_resized_vpg_comes_back_as_it_was_resized(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        assert beam(one).status_code == 200
        changed = httpx.patch(one.url("/v1/vpgs/v1"), json={"size": "large", "inspection": True})
        assert changed.json()["linesMax"] == 10_000
        rows = httpx.get(one.url("/v1/hourly?vpg_id=v1")).json()
        assert [row["config_seq"] for row in rows] == [0, 1]
    with running(tmp_path) as again:
        shape = httpx.get(again.url("/v1/vpgs/v1")).json()
        assert (shape["size"], shape["linesMax"], shape["inspection"]) == (
            "large",
            10_000,
            {"enabled": True},
        )
        assert shape["sessionStats"]["online"] == 0, "a resize cuts every session"
        assert beam(again).status_code == 200
        rows = httpx.get(again.url("/v1/hourly?vpg_id=v1")).json()
        assert [row["accepted_beam"] for row in rows] == [1, 1]
        assert [row["size"] for row in rows] == ["small", "large"]


def test_an_end_leaves_nothing_open_and_tells_what_it_did(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        ports = [one.port(name) for name in PORTS]
        idle = [one.connect(name) for name in PORTS]
        began = time.monotonic()
        one.stop()
        assert time.monotonic() - began < 2, "idle connections keep nobody waiting"
        assert [sock.recv(1) for sock in idle] == [b""] * len(idle)
        for sock in idle:
            sock.close()
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=1)
        assert events(one) == ["ready", "draining", "stopped"]
        one.stop()  # A second end does nothing.
    with running(tmp_path):
        pass


# ---- whose a store is ----------------------------------------------------------------------------


def refused(folder: Path, **changes: Any) -> list[str]:
    """Return the numbers of the problems that keep a server from starting."""
    with pytest.raises(InputError) as failure:
        Running(plan(changes.pop("store", folder / "store.db"), **changes))
    return [problem.code for problem in failure.value.problems]


def test_a_file_is_served_by_one_process_only(tmp_path: Path) -> None:
    with running(tmp_path):
        assert refused(tmp_path) == ["VPG1884"]
        assert refused(tmp_path, ports={"api": 0}) == ["VPG1884"]
    with running(tmp_path, ports={"api": 0}):
        pass


def test_a_store_of_other_vpgs_or_lines_is_refused(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    big = order(state=BillingState(type="D", size="large", peering=1))
    moved = (entry(1, vpg_id="other"),)
    for changes in (
        {"orders": (order("v9"),)},
        {"orders": (big,)},
        {"lines": (entry(21),)},
        {"lines": moved},
    ):
        assert refused(tmp_path, **changes) == ["VPG1878"], changes
    slower = order(upstream=Upstream(delay_us=1_000))
    with running(tmp_path, orders=(slower, order("other", "OP0000000002"))) as one:
        assert one.parts.gateway.vpg("v1").order.upstream.delay_us == 1_000


def test_behind_a_database_others_count_beside_the_gateway(tmp_path: Path) -> None:
    with database() as url:
        with (
            running(tmp_path, store=url) as gateway,
            running(tmp_path, store=url, ports={"api": 0}) as beside,
        ):
            assert refused(tmp_path, store=url) == ["VPG1884"], "a second one with entry points"
            assert beam(gateway).status_code == 200
            now_us = beside.now_us
            for server in (gateway, beside, beside):  # The same event, here and there.
                sent = httpx.post(
                    server.url("/v1/usage-events"),
                    json=wire(1, now_us),
                    headers={"content-type": "application/cloudevents+json"},
                )
                assert sent.status_code == 204, sent.text
            assert gateway.attempts() == beside.attempts() == 2
            # What the gateway's process registers is known beside it a moment later.
            new = {
                "simId": "1234567890",
                "imsi": "123456789012345",
                "operatorId": OPERATOR,
                "vpgId": "v1",
                "groupId": "g1",
            }
            assert httpx.post(gateway.url("/v1/lines"), json=new).status_code == 201
            until(lambda: beside.parts.store.line("1234567890") is not None, 5)
            assert httpx.get(beside.url("/v1/vpgs")).json() == []
            assert httpx.post(beside.url(f"/v1/lines/{entry(1).sim_id}/session")).status_code == 404
        with running(tmp_path, store=url) as again:
            assert again.attempts() == 2


def test_a_claim_that_its_database_dropped_is_made_again_or_told() -> None:
    import psycopg

    with database() as url:
        first = ownership.claim(url)
        assert first is not None
        assert ownership.claim(url) is None
        with psycopg.connect(url, autocommit=True) as admin:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            admin.execute(cut)
        until(lambda: first.keep() and ownership.claim(url) is None)
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(cut)
            second = None
            while second is None:
                second = ownership.claim(url)
        assert not first.keep()
        second.release()
        assert first.keep()
        first.release()


# ---- trouble -------------------------------------------------------------------------------------


def test_a_locked_store_answers_503_and_counts_again_when_it_is_free(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        assert beam(one).status_code == 200
        with sqlite3.connect(tmp_path / "store.db", isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            answer = beam(one)
            assert (answer.status_code, answer.json()["code"]) == (503, "store_trouble")
            assert int(answer.headers["retry-after"]) >= 1
            assert httpx.get(one.url("/readyz")).status_code == 503
            assert httpx.get(one.url("/healthz")).status_code == 200
            attach = one.url(f"/v1/lines/{entry(2).sim_id}/session")
            assert httpx.post(attach).status_code == 503
            until(lambda: "not_counting" in events(one))
            other.execute("ROLLBACK")
        other.close()
        until(lambda: "counting_again" in events(one))
        assert events(one).count("not_counting") == 1, "told once, not at every tick"
        assert httpx.get(one.url("/readyz")).status_code == 200
        assert beam(one).status_code == 200
        assert one.attempts() == 2
        assert httpx.get(one.url("/v1/vpgs/v1")).json()["sessionStats"]["online"] == 2


def test_counts_of_a_store_that_stays_in_trouble_are_told_as_lost(tmp_path: Path) -> None:
    with running(tmp_path, bounds=Bounds(drain_s=1)) as one:
        assert beam(one).status_code == 200
        with sqlite3.connect(tmp_path / "store.db", isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            attach = one.url(f"/v1/lines/{entry(2).sim_id}/session")
            assert httpx.post(attach).status_code == 503
            one.stop()
        other.close()
        assert events(one)[-2:] == ["counts_lost", "stopped"]
        told = json.loads(one.log.getvalue().splitlines()[-2])
        assert told["events"] >= 1


# ---- TLS, time, the view -------------------------------------------------------------------------


def test_the_api_speaks_tls_and_entry_points_do_not(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
    files = ("-nodes", "-keyout", str(key), "-out", str(certificate))
    subprocess.run([*made, *names, *files], check=True, capture_output=True)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with running(tmp_path, tls=Tls(certificate=certificate, key=key)) as one:
        assert one.url().startswith("https://")
        with httpx.Client(verify=trusting) as client:
            assert client.get(one.url("/readyz")).status_code == 200
            sent = client.post(
                one.url("/v1/usage-events"),
                json=wire(1, one.now_us),
                headers={"content-type": "application/cloudevents+json"},
            )
            assert sent.status_code == 204
        with pytest.raises(httpx.HTTPError):
            httpx.get(one.url("/readyz").replace("https", "http"))
        assert beam(one).status_code == 200
    other = tmp_path / "other.pem"
    subprocess.run(
        [*made, *names, "-nodes", "-keyout", str(other), "-out", str(tmp_path / "no.pem")],
        check=True,
        capture_output=True,
    )
    assert refused(tmp_path, tls=Tls(certificate=certificate, key=other)) == ["VPG1881"]


def test_hours_pass_as_fast_as_service_time_runs(tmp_path: Path) -> None:
    start_us = 1_775_001_600_000_000
    with running(tmp_path, start_us=start_us, scale=10_000) as one:
        until(lambda: one.now_us > start_us + 3 * HOUR_US)
        asked_us = one.now_us
        rows = one.parts.store.hourly(["v1"], 0, asked_us, asked_us).rows
    hours = [row.hour_start_us for row in rows]
    assert hours == list(range(start_us, asked_us, HOUR_US))
    assert {row.vpg_exists for row in rows} == {1}


def test_the_view_shows_what_the_limits_and_the_bill_say(tmp_path: Path) -> None:
    uncapped = order("v2", state=BillingState(type="G", size=""))
    with running(tmp_path, orders=(order(), uncapped)) as one:
        for number in range(1, 6):
            assert beam(one, number).status_code == 200
        until(lambda: one.call(one.server.view()).vpgs[0].rate_per_s > 0)
        view = one.call(one.server.view())
        assert (view.healthy, view.scale) == (True, 1)
        # Two configs, five sessions, five requests, and the peaks of their seconds.
        assert view.events >= 12
        assert 1 <= view.commits <= view.events
        limited, free = view.vpgs
        assert (limited.lines, limited.lines_max) == (5, 1_000)
        assert limited.rate_max_per_s == 30
        assert (free.lines_max, free.rate_max_per_s) == (None, None)
        charges = httpx.get(one.url("/v1/charges")).json()
        owed = sum(row["amountMicroYen"] for row in charges if row["vpgId"] == "v1")
        assert limited.month is not None
        assert limited.hour is not None
        assert (limited.month.micro_yen, limited.month.unpriced) == (owed, False)
        assert 0 < limited.hour.micro_yen <= owed
        assert free.hour is not None
        assert (free.hour.micro_yen, free.hour.unpriced) == (0, True)


def test_events_counted_elsewhere_do_not_disturb_the_gateway(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        counted = one.call(one.parts.counter.count([usage(1, one.now_us), usage(2, one.now_us)]))
        assert list(counted) == [0, 0]
        assert beam(one).status_code == 200
        assert one.attempts() == 3
