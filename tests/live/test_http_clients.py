"""Clients that nobody here wrote: curl, the CloudEvents SDK, Prometheus' own parser."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cloudevents.v1.conversion import to_binary, to_json, to_structured
from cloudevents.v1.http import CloudEvent
from prometheus_client.parser import text_string_to_metric_families

from tests.support_service import OPERATOR, entry, order, running, wire
from vpg.service.http.metrics import VPGS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support_service import Running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("clients")) as one:
        yield one


def curl(*words: str) -> tuple[int, bytes]:
    """Return status and body of what curl is told."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(
        ["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *words], capture_output=True, check=True
    )
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


@pytest.mark.parametrize(
    "words", [(), ("--http1.0",), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect:")]
)
def test_curl_sends_events(service: Running, words: tuple[str, ...]) -> None:
    before = service.attempts()
    body = json.dumps(wire(f"curl {words}", service.now_us))
    told = ("-H", "Content-Type: application/cloudevents+json", "-d", body)
    assert curl(*words, *told, service.url("/v1/usage-events")) == (204, b"")
    assert service.attempts() == before + 1


def test_curl_sends_more_than_may_be_sent(service: Running, tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_text("[" + " " * 2_000_000)
    told = ("-H", "Content-Type: application/json", "--data-binary", f"@{large}")
    status, body = curl(*told, service.url("/v1/usage-events"))
    assert (status, json.loads(body)["code"]) == (413, "too_large")


def test_curl_is_a_device(service: Running) -> None:
    device = ("--interface", entry(4).address, "-d", "21.5")
    assert curl(*device, service.url("/temperature", "beam")) == (200, b"")
    text = ("-H", "Content-Type: text/plain")
    assert curl(*device, *text, service.url("/", "funnel")) == (204, b"")
    assert curl(*device, *text, service.url("/", "unified")) == (200, b'{"result":"ok"}')
    status, body = curl("-d", "x", service.url("/", "funk"))
    assert (status, json.loads(body)["code"]) == (403, "unknown_line")


def test_curl_reads_bills_as_csv(service: Running) -> None:
    url = service.url(f"/v1/charges?format=csv&limit=5&vpg={OPERATOR}")
    status, body = curl("-H", "Accept: text/csv", url)
    assert status == 200
    assert body.startswith(b"vpgId,hourStart,billItemName,quantity,")


def made(number: str, at: str, **data: Any) -> CloudEvent:
    attributes = {
        "type": "request.v1",
        "source": "urn:sdk",
        "id": number,
        "time": at,
        "subject": entry(1).sim_id,
    }
    values = {"operatorId": OPERATOR, "vpgId": "v1", "service": "funk", "outcome": "accepted"}
    return CloudEvent(attributes, {**values, **data})


@pytest.mark.parametrize("mode", [to_structured, to_binary])
def test_the_sdk_sends_events(service: Running, mode: Any) -> None:
    before = service.attempts("funk")
    at = wire(0, service.now_us)["time"]
    event = made(mode.__name__, at, bytesUp=5)
    headers, body = mode(event)
    if mode is to_binary:
        headers = {**headers, "content-type": "application/json"}
    for _ in range(2):
        answer = httpx.post(service.url("/v1/usage-events"), headers=headers, content=body)
        assert answer.status_code == 204, answer.text
    headers, body = to_structured(made(mode.__name__, at, bytesUp=6))
    answer = httpx.post(service.url("/v1/usage-events"), headers=headers, content=body)
    assert answer.status_code == 409
    assert service.attempts("funk") == before + 1


def test_the_sdk_sends_batches(service: Running) -> None:
    at = wire(0, service.now_us)["time"]
    batch = b"[" + b",".join(to_json(made(f"batch-{n}", at)) for n in range(10)) + b"]"
    headers = {"content-type": "application/cloudevents-batch+json"}
    answer = httpx.post(service.url("/v1/usage-events"), headers=headers, content=batch)
    assert (answer.status_code, answer.json()) == (200, {"counted": 10, "refused": []})


def samples(one: Running) -> dict[tuple[str, str, str], float]:
    """Return every sample by name, VPG and service."""
    answer = httpx.get(one.url("/metrics"), timeout=20)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, sample.labels.get("vpg_id", ""), sample.labels.get("service", "")): (
            sample.value
        )
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_prometheus_reads_the_running_hour(service: Running) -> None:
    url = service.url("/v1/usage-events")
    for number in range(3):
        event = wire(f"metric-{number}", service.now_us, data={"service": "ip", "bytesUp": 7})
        assert httpx.post(url, json=event).status_code == 204
    found = samples(service)
    assert found["vpg_hour_accepted", "v1", "ip"] == service.attempts("ip")
    assert found["vpg_hour_bytes_up", "v1", ""] >= 21
    assert found["vpg_hour_lines_peak", "v1", ""] >= 0
    assert found["vpg_requests_limit_per_second", "v1", ""] == 30
    assert found["vpg_lines_limit", "v1", ""] == 1000
    # One hour of a small VPG of type D and its contract fee, tax excluded.
    assert found["vpg_month_to_date_yen", "v1", ""] == 10_100
    assert found["vpg_writer_events_total", "", ""] >= 3
    assert found["vpg_healthy", "", ""] == 1


def test_labels_are_bounded_by_the_vpgs(tmp_path: Path) -> None:
    orders = tuple(order(f"v{n:03d}") for n in range(VPGS_MAX + 2))
    with running(tmp_path, orders=orders, lines=(entry(1, "v000"),)) as one:
        found = samples(one)
    assert found["vpg_left_out", "", ""] == 2
    assert len({vpg_id for _, vpg_id, _ in found if vpg_id}) == VPGS_MAX
