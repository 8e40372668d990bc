"""A real broker behind a VPG: messages up and down, killed under load, frozen, gone."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests import servers
from tests.support_mqtt import WAIT_S, Broker, broker, entry, rig, until
from vpg.service.log import Log
from vpg.service.mqtt.packets import Disconnect, Puback, Publish, Suback, Subscribe, Unsubscribe
from vpg.service.upstream import make_upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support_mqtt import Device, Rig
    from vpg.service.upstream_link import UpstreamAnswer

SETTINGS = "persistence true\npersistence_location ./\nmax_inflight_messages 0"
LINE: Any = SimpleNamespace(entry=entry(7))


@pytest.fixture(scope="module")
def running_broker() -> Iterator[str]:
    try:
        with servers.running(servers.MOSQUITTO) as url:
            yield url
    except servers.NoServerError as why:
        pytest.skip(str(why))


@contextmanager
def customer(port: int, pattern: str, **words: Any) -> Iterator[list[tuple[str, bytes]]]:
    """Give what a subscriber at the broker hears."""
    heard: list[tuple[str, bytes]] = []
    subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, **words)
    client.reconnect_delay_set(1, 1)
    client.on_message = lambda _c, _u, one: heard.append((one.topic, bytes(one.payload)))
    client.on_subscribe = lambda *_: subscribed.set()

    def connected(*_: Any) -> None:
        client.subscribe(pattern, 1)

    client.on_connect = connected
    client.connect("127.0.0.1", port, keepalive=5)
    client.loop_start()
    try:
        assert subscribed.wait(WAIT_S)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def reached(running: Rig) -> None:
    until(lambda: running.link.connected)


def test_messages_go_up_and_come_down(running_broker: str) -> None:
    port = port_of(running_broker)
    with rig(upstream=running_broker) as running, customer(port, "up/#") as heard:
        reached(running)
        with running.connected(0) as device, running.connected(1) as other:
            device.send(Publish(topic="up/1", payload=b"\x00\xff", qos=1, packet_id=1, retain=True))
            assert device.take() == Puback(1)
            until(lambda: heard == [("up/1", b"\x00\xff")])
            both = Subscribe(packet_id=2, filters=(("down/+", 1), ("up/#", 0)))
            device.send(both)
            assert device.take() == Suback(packet_id=2, codes=(1, 0))
            other.send(Subscribe(packet_id=2, filters=(("down/+", 0),)))
            assert other.take() == Suback(packet_id=2, codes=(0,))
            says = paho.Client(CallbackAPIVersion.VERSION2)
            says.connect("127.0.0.1", port)
            says.loop_start()
            says.publish("down/x", b"one", qos=1).wait_for_publish(WAIT_S)
            assert device.take() == Publish(topic="down/x", payload=b"one", qos=1, packet_id=1)
            assert other.take() == Publish(topic="down/x", payload=b"one")
            # What a device says reaches its neighbours by way of the broker, once.
            other.send(Publish(topic="up/2", payload=b"2", qos=1, packet_id=1))
            assert {type(other.take())} == {Puback}
            assert device.take() == Publish(topic="up/2", payload=b"2")
            # Only the last that leaves ends the subscription at the broker.
            device.send(Unsubscribe(packet_id=3, filters=("down/+",)))
            device.take()
            says.publish("down/y", b"two", qos=1).wait_for_publish(WAIT_S)
            assert other.take() == Publish(topic="down/y", payload=b"two")
            assert device.silent()
            other.send(Disconnect())
            until(lambda: list(running.link._filters) == ["up/#"])
            says.disconnect()
            says.loop_stop()


def test_what_the_broker_retained_is_not_handed_down(running_broker: str) -> None:
    says = paho.Client(CallbackAPIVersion.VERSION2)
    says.connect("127.0.0.1", port_of(running_broker))
    says.loop_start()
    says.publish("kept/1", b"old", qos=1, retain=True).wait_for_publish(WAIT_S)
    with rig(upstream=running_broker) as running, running.connected(0) as device:
        reached(running)
        device.send(Subscribe(packet_id=1, filters=(("kept/#", 1),)))
        assert device.take() == Suback(packet_id=1, codes=(1,))
        assert device.silent()
    says.publish("kept/1", b"", qos=1, retain=True).wait_for_publish(WAIT_S)
    says.disconnect()
    says.loop_stop()


@pytest.mark.parametrize(
    ("target", "topic"),
    [("/a/b?x=1", "a/b"), ("a/b", "a/b"), ("/", "beam"), ("/a/+", None), ("#", None)],
)
def test_a_path_is_a_topic_without_its_first_slash(
    running_broker: str, target: str, topic: str | None
) -> None:
    async def send() -> UpstreamAnswer:
        link = make_upstream(running_broker, name="path", log=Log(least="error"))
        await link.start()
        answer = await link.send(LINE, "beam", target, b"1", timeout_s=3.0)
        await link.stop()
        return answer

    with customer(port_of(running_broker), "#") as heard:
        assert asyncio.run(send()).ok == (topic is not None)
        if topic is not None:
            until(lambda: (topic, b"1") in heard)


def test_no_broker_is_a_failure_in_time_that_is_counted() -> None:
    with rig(upstream=f"mqtt://127.0.0.1:{servers.free_port()}") as running:
        with running.connected(0) as device:
            began = time.monotonic()
            device.send(Publish(topic="t", payload=b"x", qos=1, packet_id=1))
            assert device.take() is None
            assert time.monotonic() - began < 3
        (event,) = running.counter.requests("failed_upstream")
        assert (event.data.bytesUp, event.data.delayUs) == (0, None)
        assert running.said.getvalue().count("upstream_lost") == 1  # told once, not at each try


def test_a_frozen_broker_fails_within_the_timeout(tmp_path: Path) -> None:
    with (
        broker(tmp_path) as server,
        rig(upstream=server.url, timeout_us=700_000) as running,
        running.connected(0) as device,
    ):
        reached(running)
        server.signal(signal.SIGSTOP)
        began = time.monotonic()
        device.send(Publish(topic="t", payload=b"x", qos=1, packet_id=1))
        assert device.take() is None
        assert 0.5 < time.monotonic() - began < 3
        assert len(running.counter.requests("failed_upstream")) == 1
        server.signal(signal.SIGCONT)
        with running.connected(0) as back:
            back.send(Publish(topic="t", payload=b"x", qos=1, packet_id=2))
            assert back.take() == Puback(2)


def test_a_broker_that_takes_no_one_in_is_left_in_peace(tmp_path: Path) -> None:
    with broker(tmp_path, settings="password_file /dev/null") as server:
        server.kill()
        (tmp_path / "none").write_text("", encoding="utf-8")
        server._settings = f"password_file {tmp_path / 'none'}"
        conf = "allow_anonymous false"
        server._settings += f"\n{conf}"
        server.start()
        with rig(upstream=server.url) as running, running.connected(0) as device:
            time.sleep(1.0)
            device.send(Publish(topic="t", payload=b"x", qos=1, packet_id=1))
            assert device.take() is None
            assert running.said.getvalue().count("upstream_lost") == 1


def test_subscriptions_are_restored_after_a_restart(tmp_path: Path) -> None:
    with (
        broker(tmp_path) as server,
        rig(upstream=server.url) as running,
        running.connected(0) as device,
    ):
        reached(running)
        device.send(Subscribe(packet_id=1, filters=(("down/#", 1), ("x", 0))))
        assert device.take() == Suback(packet_id=1, codes=(1, 0))
        server.kill()
        until(lambda: not running.link.connected)
        server.start()
        began = time.monotonic()
        reached(running)
        assert time.monotonic() - began < 10
        says = paho.Client(CallbackAPIVersion.VERSION2)
        says.connect("127.0.0.1", server.port)
        says.loop_start()
        says.publish("down/1", b"back", qos=1).wait_for_publish(WAIT_S)
        assert device.take() == Publish(topic="down/1", payload=b"back", qos=1, packet_id=1)
        says.disconnect()
        says.loop_stop()


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.long)])
def test_a_broker_killed_under_load_loses_nothing_acknowledged(tmp_path: Path, kills: int) -> None:
    """Devices publish with QoS 1 and resend what was not acknowledged; a customer subscribes.

    What the broker acknowledged but keeps only in memory dies with it: so it gets back the
    subscription from its file, and the customer is there again before the next kill.
    """
    with (
        broker(tmp_path, settings=SETTINGS) as server,
        rig(upstream=server.url) as running,
        customer(server.port, "up/#", client_id="customer", clean_session=False) as heard,
    ):
        server.signal(signal.SIGUSR1)  # write the subscription to the file
        reached(running)
        until((tmp_path / "mosquitto.db").exists)
        stop = threading.Event()
        talkers = [Talker(running, number, stop) for number in range(3)]
        for talker in talkers:
            talker.start()
        slowest_s = 0.0
        for _ in range(kills):
            _until_heard(talkers, heard)
            server.kill()
            time.sleep(0.1)
            server.start()
            began = time.monotonic()
            reached(running)
            slowest_s = max(slowest_s, time.monotonic() - began)
        _until_heard(talkers, heard)
        stop.set()
        for talker in talkers:
            talker.join(WAIT_S)
        acknowledged = sum(len(talker.acknowledged) for talker in talkers)
        assert acknowledged >= 20 * kills
        until(lambda: not _missing(talkers, heard))
        assert slowest_s < 10
        # Every acknowledged message is counted as accepted, each try once.
        assert len(running.counter.requests()) >= acknowledged
        tries = sum(talker.tries for talker in talkers)
        counted = len(running.counter.requests()) + len(running.counter.requests("failed_upstream"))
        assert counted == tries


def _missing(talkers: list[Talker], heard: list[tuple[str, bytes]]) -> set[bytes]:
    acknowledged = {payload for talker in talkers for payload in talker.acknowledged}
    return acknowledged - {payload for _, payload in heard}


def _until_heard(talkers: list[Talker], heard: list[tuple[str, bytes]]) -> None:
    """Wait until the customer has caught up: what a broker holds back for it dies with it."""
    before = len(heard)
    until(lambda: len(heard) >= before + 20 and not _missing(talkers, heard), wait_s=20)


class Talker(threading.Thread):
    """A device that publishes with QoS 1, one after the other, and never gives up."""

    def __init__(self, running: Rig, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._rig, self._number, self._stopped = running, number, stop
        self.acknowledged: list[bytes] = []
        self.tries = 0

    def run(self) -> None:
        serial = 0
        device: Device | None = None
        while not self._stopped.is_set():
            payload = f"{self._number}-{serial}".encode()
            if device is None:
                device = self._rig.connected(self._number)
            self.tries += 1
            packet_id = serial % 65_535 + 1
            device.send(Publish(topic="up/t", payload=payload, qos=1, packet_id=packet_id))
            answer = device.take()
            if answer == Puback(packet_id):
                self.acknowledged.append(payload)
                serial += 1
            else:
                device.close()
                device = None
            time.sleep(0.01)
        if device is not None:
            device.close()


def test_the_broker_of_the_tests_can_be_killed(tmp_path: Path) -> None:
    """Else the tests above would show nothing."""
    with broker(tmp_path) as server:
        assert server._answers()
        server.kill()
        assert not server._answers()
        assert isinstance(server, Broker)
