"""Clients that nobody here wrote speak with the MQTT entry point and take it for a broker."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import aiomqtt
import httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support_mqtt import WAIT_S, Rig, entry, rig, until
from tests.support_serve import serving
from vpg.cli.serving_values import imsi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def running() -> Iterator[Rig]:
    with rig() as made:
        yield made


def _paho(number: int, **words: Any) -> paho.Client:
    return paho.Client(CallbackAPIVersion.VERSION2, client_id=entry(number).imsi, **words)


def _mosquitto(program: str, port: int, *words: str, number: int = 0) -> list[str]:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return [found, "-h", "127.0.0.1", "-p", str(port), "-i", entry(number).imsi, *words]


def test_paho_publishes_and_hears(running: Rig) -> None:
    heard: list[tuple[str, bytes, int, bool]] = []
    hears, says = _paho(0), _paho(1)
    subscribed = threading.Event()
    hears.on_message = lambda _c, _u, one: heard.append(
        (one.topic, bytes(one.payload), one.qos, one.retain)
    )
    hears.on_subscribe = lambda *_: subscribed.set()
    for client in (hears, says):
        client.connect("127.0.0.1", running.port, keepalive=5)
        client.loop_start()
    hears.subscribe([("a/#", 2), ("温度", 0)])
    assert subscribed.wait(WAIT_S)
    says.publish("a/b", b"one", qos=1, retain=True).wait_for_publish(WAIT_S)
    says.publish("温度", "二十".encode(), qos=1).wait_for_publish(WAIT_S)
    says.publish("a/c", b"x" * 60_000, qos=0).wait_for_publish(WAIT_S)
    until(lambda: len(heard) == 3)
    assert heard == [
        ("a/b", b"one", 1, False),
        ("温度", "二十".encode(), 0, False),
        ("a/c", b"x" * 60_000, 0, False),
    ]
    for client in (hears, says):
        client.disconnect()
        client.loop_stop()
    assert [one.data.bytesUp for one in running.counter.requests()] == [3, 6, 60_000]


@pytest.mark.parametrize(
    ("version", "code"),
    [(MQTTProtocolVersion.MQTTv31, 132), (MQTTProtocolVersion.MQTTv5, None)],
)
def test_paho_is_told_that_another_level_is_not_spoken(
    running: Rig, version: MQTTProtocolVersion, code: int | None
) -> None:
    said: list[int] = []
    ended = threading.Event()
    client = _paho(0, protocol=version, reconnect_on_failure=False)
    client.on_connect = lambda _c, _u, _f, reason, _p: said.append(reason.value)
    client.on_disconnect = lambda *_: ended.set()
    client.connect("127.0.0.1", running.port)
    client.loop_start()
    assert ended.wait(WAIT_S)
    client.loop_stop()
    if code is not None:  # of version 5 the answer has another form; the connection just ends
        assert said == [code]


def test_paho_sends_again_what_was_not_acknowledged(running: Rig) -> None:
    """A commit fails, the connection ends, paho comes back by itself and sends it with DUP."""
    from vpg.service.ports import StoreTroubleError

    client = _paho(0)
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", running.port)
    client.loop_start()
    until(client.is_connected)
    running.counter.trouble = StoreTroubleError("the disk is full")
    sent = client.publish("a", b"1", qos=1)
    until(lambda: running.endpoint.stats.unacknowledged >= 1)
    assert not sent.is_published()
    running.counter.trouble = None
    sent.wait_for_publish(WAIT_S)
    assert len(running.counter.requests()) == 1
    client.disconnect()
    client.loop_stop()


def test_aiomqtt_publishes_hears_and_leaves_a_will(running: Rig) -> None:
    async def talk() -> list[tuple[str, bytes]]:
        heard = []
        address: Any = {"hostname": "127.0.0.1", "port": running.port}
        async with aiomqtt.Client(identifier=entry(0).imsi, **address) as hears:
            await hears.subscribe("t/#", qos=1)
            will = aiomqtt.Will("t/will", b"gone", qos=1)
            async with aiomqtt.Client(identifier=entry(1).imsi, will=will, **address) as says:
                await asyncio.gather(*(says.publish("t/x", str(n), qos=1) for n in range(50)))
                says._client._sock_close()
                says._disconnected.set_result(None)
            async for message in hears.messages:
                heard.append((message.topic.value, bytes(message.payload)))
                if len(heard) == 51:
                    return heard
        return heard

    heard = asyncio.run(asyncio.wait_for(talk(), WAIT_S))
    assert heard == [("t/x", str(n).encode()) for n in range(50)] + [("t/will", b"gone")]
    assert len(running.counter.requests()) == 51


def test_mosquitto_pub_and_sub(running: Rig) -> None:
    listening = _mosquitto("mosquitto_sub", running.port, "-t", "a/+", "-q", "1", "-C", "3", "-v")
    with subprocess.Popen(listening, stdout=subprocess.PIPE, text=True) as hears:
        until(lambda: any(hub._subscriptions.of("a/b") for hub in running.endpoint._hubs.values()))
        says = _mosquitto(
            "mosquitto_pub", running.port, "-t", "a/b", "-q", "1", "-l", "-V", "mqttv311", number=1
        )
        done = subprocess.run(
            says,
            input="one\ntwo\n三\n",
            text=True,
            capture_output=True,
            check=False,
            timeout=WAIT_S,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert hears.communicate(timeout=WAIT_S)[0] == "a/b one\na/b two\na/b 三\n"
    assert len(running.counter.requests()) == 3


def test_mosquitto_pub_is_refused_in_words_that_it_knows(running: Rig) -> None:
    says = _mosquitto("mosquitto_pub", running.port, "-t", "a", "-m", "1", "-q", "1", number=77)
    done = subprocess.run(says, capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert done.returncode == 5
    assert "not authorised" in done.stderr


def test_mosquitto_pub_at_qos_2_gets_nowhere(running: Rig) -> None:
    says = _mosquitto("mosquitto_pub", running.port, "-t", "a", "-m", "1", "-q", "2")
    with subprocess.Popen(says, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        until(lambda: running.endpoint.stats.breaches >= 1)
        process.kill()
    assert running.counter.requests() == []


def test_the_whole_service_counts_what_it_acknowledged_also_after_a_kill(tmp_path: Path) -> None:
    """``vpg serve`` itself, its real store, killed without warning between two publishes."""
    acknowledged = 0
    for count in (20, 10):
        with serving(tmp_path, "--store", "kept.sqlite") as server:
            says = _mosquitto("mosquitto_pub", server.port("mqtt"), "-t", "a", "-q", "1", "-l")
            says[says.index("-i") + 1] = imsi(0)
            done = subprocess.run(
                says,
                input="".join(f"{n}\n" for n in range(count)),
                text=True,
                capture_output=True,
                check=False,
                timeout=WAIT_S,
            )
            assert (done.returncode, done.stderr) == (0, "")
            acknowledged += count
            if count == 20:
                server.process.kill()
                server.wait()
            else:
                counted = httpx.get(f"{server.url()}/v1/hourly", trust_env=False).json()
                assert server.end() == 143
    assert sum(row["accepted_beam"] for row in counted) == acknowledged == 30
