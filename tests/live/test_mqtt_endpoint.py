"""The MQTT entry point by hand-made packets: who may connect, what is counted, what ends."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.support_mqtt import LINES, Rig, entry, name, rig, until
from vpg.service.http.auth import Tokens
from vpg.service.mqtt.codec import encode
from vpg.service.mqtt.connection import PENDING_MAX, TURN_PACKETS
from vpg.service.mqtt.outgoing import QUEUE_MESSAGES_MAX, WINDOW
from vpg.service.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from vpg.service.ports import OverloadedError, StoreTroubleError
from vpg.service.values import Bounds, Rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpg.service.mqtt.packets import Packet

TOKEN = "token-of-operator-one"  # noqa: S105 - made up
OTHER = "token-of-operator-two"
WRONG_TOKEN = "token-of-nobody-else"  # noqa: S105 - made up


@pytest.fixture(scope="module")
def plain() -> Iterator[Rig]:
    with rig() as running:
        yield running


# ---- who may connect -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"client_id": name(0)}, 0),
        ({"client_id": entry(0).sim_id}, 0),
        ({"client_id": "whatever", "username": name(1)}, 0),
        ({"client_id": "", "username": name(1)}, 0),
        ({"client_id": "", "username": name(1), "clean_session": False}, 2),
        ({"client_id": name(0), "clean_session": False}, 0),
        ({"client_id": "x" * 257, "username": name(1)}, 2),
        ({"client_id": "unknown"}, 5),
        ({"client_id": ""}, 5),
        ({"client_id": name(0), "keep_alive_s": 0}, 0),
        ({"client_id": name(0), "keep_alive_s": 1}, 5),
        ({"client_id": name(0), "keep_alive_s": 4}, 5),
        ({"client_id": name(0), "keep_alive_s": 5}, 0),
        ({"client_id": name(0), "keep_alive_s": 1_200}, 0),
        ({"client_id": name(0), "keep_alive_s": 1_201}, 5),
        ({"client_id": name(0), "keep_alive_s": 65_535}, 5),
        ({"client_id": name(0), "will": Will(topic="w", payload=b"", qos=1)}, 0),
        ({"client_id": name(0), "will": Will(topic="w", payload=b"", qos=2)}, 5),
    ],
)
def test_a_connect_is_answered_by_the_stated_code(
    plain: Rig, words: dict[str, Any], code: int
) -> None:
    with plain.device() as device:
        assert device.connect(**words) == code
        if code:
            assert device.closed()
        else:
            device.send(Pingreq(), Disconnect())
            assert device.take() == Pingresp()
            assert device.closed()


@pytest.mark.parametrize(("protocol", "level"), [(b"MQTT", 5), (b"MQTT", 3), (b"MQIsdp", 3)])
def test_another_protocol_level_is_told_so(plain: Rig, protocol: bytes, level: int) -> None:
    body = struct.pack("!H", len(protocol)) + protocol + bytes((level, 2, 0, 60, 0, 1, 97))
    with plain.device() as device:
        device.raw(bytes((0x10, len(body))) + body)
        assert device.take() == Connack(code=1)
        assert device.closed()


def test_lines_that_may_not_be_used_are_refused_like_a_session() -> None:
    states: tuple[Any, ...] = ("inactive", "suspended", "terminated", "standby", "ready")
    lines = [entry(50 + n, status=status) for n, status in enumerate(states)]
    stray = entry(60, vpg="of-another-service")
    with rig(lines=[*lines, stray]) as running:
        for line, expected in zip([*lines, stray], (5, 5, 5, 0, 0, 5), strict=True):
            with running.device() as device:
                assert device.connect(client_id=line.imsi) == expected, line.status


def test_a_full_vpg_says_that_it_is_not_available() -> None:
    with rig(lines_max=2) as running:
        kept = [running.connected(number) for number in range(2)]
        with running.device() as third:
            assert third.connect(client_id=name(2)) == 3
        with running.device() as again:  # a line with a session is not one more
            assert again.connect(client_id=name(0)) == 0
        for device in kept:
            device.close()


def test_without_implicit_attach_a_line_needs_its_session() -> None:
    with rig(rules=Rules(implicit_attach=False)) as running:
        line = running.gateway.line_named(name(0))
        assert line is not None
        with running.device() as device:
            assert device.connect(client_id=name(0)) == 5
        running.gateway.attach(line, running.clock.now_us())
        with running.connected(0) as device:
            running.gateway.cut(line, running.clock.now_us())
            device.send(Publish(topic="t", payload=b"", qos=1, packet_id=1))
            assert device.closed()  # its bearer is gone
        assert line.session is None


def test_a_line_is_known_by_its_address_whatever_it_says() -> None:
    with rig(lines=[entry(40, address="127.7.0.40")], tokens=Tokens([("*", TOKEN)])) as running:
        with running.device("127.7.0.40") as device:
            assert device.connect(client_id=name(1), keep_alive_s=60) == 0
            device.send(Publish(topic="t", payload=b"1", qos=1, packet_id=1))
            assert device.take() == Puback(1)
        assert [one.subject for one in running.counter.requests()] == [entry(40).sim_id]


@pytest.mark.parametrize(
    ("password", "username", "code"),
    [
        (TOKEN.encode(), name(0), 0),
        (OTHER.encode(), name(0), 5),
        (WRONG_TOKEN.encode(), name(0), 4),
        (WRONG_TOKEN.encode(), "unknown", 4),  # who has no token learns nothing of names
        (None, name(0), 4),
        (b"", name(0), 4),
        (b"\xff\xfe" * 20, name(0), 4),
        (TOKEN.encode() + b" ", name(0), 4),
        (b"Bearer " + TOKEN.encode(), name(0), 4),
        (TOKEN.encode() * 40, name(0), 4),
        (TOKEN.encode(), "unknown", 5),
        (b"everybodys-token-of-all", name(0), 0),
    ],
)
def test_a_name_needs_the_token_of_its_operator(
    password: bytes | None, username: str, code: int
) -> None:
    pairs = [("OP0000000001", TOKEN), ("OP0000000002", OTHER), ("*", "everybodys-token-of-all")]
    with rig(tokens=Tokens(pairs)) as running, running.device() as device:
        assert device.connect(client_id="c", username=username, password=password) == code


# ---- order of packets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packet",
    [
        Publish(topic="t", payload=b"", qos=2, packet_id=7),
        Pubrel(7),
        Pubcomp(7),
        Connect(client_id=name(3)),
        Connack(),
        Suback(packet_id=1, codes=(0,)),
        Unsuback(1),
        Pingresp(),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_what_has_no_place_ends_the_connection(plain: Rig, packet: Packet) -> None:
    before = len(plain.counter.requests())
    with plain.connected(3) as device:
        device.send(packet)
        assert device.closed()
    assert len(plain.counter.requests()) == before


@pytest.mark.parametrize("packet", [Pingreq(), Publish(topic="t", payload=b""), Disconnect()])
def test_before_connect_nothing_is_taken(plain: Rig, packet: Packet) -> None:
    with plain.device() as device:
        device.send(packet)
        assert device.take() is None


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n\r\n", b"\x00", b"\x10\xff\xff\xff\xff\x01"])
def test_garbage_is_cut_off(plain: Rig, raw: bytes) -> None:
    with plain.device() as device:
        device.raw(raw)
        assert device.take() is None


def test_a_packet_above_the_bound_is_cut_off_by_its_header_alone() -> None:
    with rig(bounds=Bounds(mqtt_packet_bytes=1_000)) as running:
        fits = Publish(topic="t", payload=b"x" * 992, qos=1, packet_id=1)
        assert len(encode(fits)) == 1_000
        with running.connected(0) as device:
            device.send(fits)
            assert device.take() == Puback(1)
            device.raw(encode(Publish(topic="t", payload=b"x" * 993, qos=1, packet_id=2))[:3])
            assert device.closed()
        assert running.endpoint.stats.malformed == 1


# ---- publishing ----------------------------------------------------------------------------------


def test_a_publish_is_one_request_acknowledged_after_its_commit() -> None:
    with rig() as running, running.connected(0) as device:
        running.counter.delay_s = 0.15
        began = time.monotonic()
        device.send(Publish(topic="a/b", payload=b"12345", qos=1, packet_id=9))
        assert device.take() == Puback(9)
        assert time.monotonic() - began >= 0.15
        (event,) = running.counter.requests()
        assert (event.data.service, event.data.outcome, event.subject) == (
            "beam",
            "accepted",
            entry(0).sim_id,
        )
        assert (event.data.bytesUp, event.data.bytesDown, event.data.requests) == (5, 0, 1)


def test_acknowledgements_keep_the_order_of_the_publishes() -> None:
    with rig() as running, running.connected(0) as device:
        packets = [Publish(topic="t", payload=b"", qos=1, packet_id=n) for n in range(1, 201)]
        device.send(*packets)
        assert [device.take() for _ in packets] == [Puback(n) for n in range(1, 201)]
        assert len(running.counter.requests()) == 200


def test_a_device_may_have_so_many_publishes_under_way_and_no_more() -> None:
    with rig() as running, running.connected(0) as device:
        running.counter.delay_s = 0.4
        count = PENDING_MAX + 10
        device.send(*(Publish(topic="t", payload=b"", qos=0) for _ in range(count)), Pingreq())
        until(lambda: running.endpoint.stats.published == PENDING_MAX)
        assert device.silent(0.15)
        assert running.endpoint.stats.published == PENDING_MAX
        assert device.take() == Pingresp()
        until(lambda: len(running.counter.requests()) == count)


def test_a_device_that_sends_without_end_leaves_others_their_turn() -> None:
    with rig() as running, running.connected(0) as flood, running.connected(1) as other:
        flood.socket.settimeout(0.05)
        pings = encode(Pingreq()) * 20_000
        taken = other
        for _ in range(3):
            flood.raw(pings)
            began = time.monotonic()
            taken.send(Pingreq())
            assert taken.take() == Pingresp()
            assert time.monotonic() - began < 2
        assert TURN_PACKETS < 20_000


def test_a_resent_publish_is_a_new_attempt() -> None:
    with rig() as running, running.connected(0) as device:
        device.send(Publish(topic="t", payload=b"x", qos=1, packet_id=1))
        assert device.take() == Puback(1)
        device.send(Publish(topic="t", payload=b"x", qos=1, packet_id=1, dup=True))
        assert device.take() == Puback(1)
        assert len(running.counter.requests()) == 2


def test_a_new_session_is_told_of_once_it_is_kept() -> None:
    with rig() as running, running.device() as device:
        running.counter.delay_s = 0.2
        began = time.monotonic()
        device.send(Connect(client_id=name(0)), Publish(topic="t", payload=b"", qos=0))
        assert device.take() == Connack()
        assert time.monotonic() - began >= 0.2
        assert [one.type for one in running.counter.counted] == ["session.created.v1"]
        until(lambda: len(running.counter.requests()) == 1)
        running.counter.trouble = StoreTroubleError("the disk is full")
        with running.device() as other:
            assert other.connect(client_id=name(1)) == 3


def test_what_nobody_thought_of_ends_the_connection_and_is_logged() -> None:
    with rig() as running, running.connected(0) as device:
        running.counter.trouble = LookupError("a mistake of ours")
        device.send(Publish(topic="t", payload=b"", qos=1, packet_id=1))
        assert device.take() is None
        until(lambda: "mqtt_failed" in running.said.getvalue())
        assert "a mistake of ours" in running.said.getvalue()


@pytest.mark.parametrize("trouble", [StoreTroubleError("the disk is full"), OverloadedError("so")])
def test_what_cannot_be_counted_is_not_acknowledged(trouble: Exception) -> None:
    with rig() as running, running.connected(0) as device:
        running.counter.trouble = trouble
        device.send(Publish(topic="t", payload=b"", qos=0))
        assert device.silent()
        device.send(Publish(topic="t", payload=b"", qos=1, packet_id=1))
        assert device.take() is None  # no PUBACK: the device comes back and sends it again
        running.counter.trouble = None
        with running.connected(0) as back:
            back.send(Publish(topic="t", payload=b"", qos=1, packet_id=1, dup=True))
            assert back.take() == Puback(1)
        assert len(running.counter.requests()) == 1


def test_payloads_under_way_are_bounded_over_all_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vpg.service.mqtt.endpoint.PENDING_BYTES_MAX", 2_000)
    with rig() as running, running.connected(0) as one, running.connected(1) as other:
        running.counter.delay_s = 0.3
        one.send(Publish(topic="t", payload=b"x" * 1_500, qos=1, packet_id=1))
        until(lambda: running.endpoint.stats.published == 1)
        other.send(Publish(topic="t", payload=b"x" * 501, qos=0))
        other.send(Publish(topic="t", payload=b"x" * 501, qos=1, packet_id=1))
        assert other.take() is None
        assert one.take() == Puback(1)
        one.send(Publish(topic="t", payload=b"x" * 2_000, qos=1, packet_id=2))
        assert one.take() == Puback(2)
        assert len(running.counter.requests()) == 2


def test_what_is_above_the_rate_is_dropped_or_not_acknowledged_and_counted() -> None:
    with rig(size="small") as running, running.connected(0) as device:
        packets = [Publish(topic="t", payload=b"", qos=1, packet_id=n) for n in range(1, 61)]
        device.send(*packets)
        acknowledged = set()
        with suppress(TimeoutError):
            while isinstance(packet := device.take(0.5), Puback):
                acknowledged.add(packet.packet_id)
        device.send(Pingreq())
        assert device.take() == Pingresp()  # the connection stays
        assert 30 <= len(acknowledged) < 45
        accepted = len(running.counter.requests())
        until(lambda: _throttled(running) == 60 - accepted)
        assert accepted == len(acknowledged)


def _throttled(running: Rig) -> int:
    async def told() -> None:
        running.gateway.tick(running.clock.now_us())

    running.do(told())
    return sum(
        one.data.requests
        for one in [*running.gateway.outbox, *running.counter.counted]
        if one.type == "request.v1" and one.data.outcome == "throttled"
    )


@pytest.mark.parametrize(
    "words", [{"rules": Rules(mqtt_above_rate="disconnect")}, {"rules": Rules(above_rate="reset")}]
)
def test_above_the_rate_the_connection_may_end_instead(words: dict[str, Any]) -> None:
    with rig(size="small", **words) as running, running.connected(0) as device:
        device.send(*(Publish(topic="t", payload=b"", qos=1, packet_id=n) for n in range(1, 61)))
        assert device.closed()


def test_a_line_that_is_suspended_loses_its_connection_at_the_next_packet() -> None:
    with rig() as running, running.connected(0) as device:
        line = running.gateway.line_named(name(0))
        assert line is not None
        running.gateway.set_status(line, "suspended", running.clock.now_us())
        device.send(Pingreq())
        assert device.take() is None


# ---- subscriptions -------------------------------------------------------------------------------


def test_devices_of_one_vpg_hear_each_other() -> None:
    with rig() as running, running.connected(0) as hears, running.connected(1) as says:
        hears.send(Subscribe(packet_id=5, filters=(("a/+", 2), ("b/#", 0), ("$share/g/a", 1))))
        assert hears.take() == Suback(packet_id=5, codes=(1, 0, 128))
        says.send(Publish(topic="a/x", payload=b"1", qos=1, packet_id=1, retain=True))
        assert says.take() == Puback(1)
        assert hears.take() == Publish(topic="a/x", payload=b"1", qos=1, packet_id=1)
        says.send(Publish(topic="b/x/y", payload=b"2", qos=1, packet_id=2))
        assert hears.take() == Publish(topic="b/x/y", payload=b"2")
        hears.send(Puback(1), Unsubscribe(packet_id=6, filters=("a/+", "never")))
        assert hears.take() == Unsuback(6)
        says.send(Publish(topic="a/x", payload=b"3"), Publish(topic="b/z", payload=b"4"))
        assert hears.take() == Publish(topic="b/z", payload=b"4")


def test_nothing_is_retained() -> None:
    with rig() as running, running.connected(0) as says, running.connected(1) as later:
        says.send(Publish(topic="a", payload=b"old", qos=1, packet_id=1, retain=True))
        assert says.take() == Puback(1)
        later.send(Subscribe(packet_id=1, filters=(("#", 1),)))
        assert later.take() == Suback(packet_id=1, codes=(1,))
        assert later.silent()


def test_subscriptions_end_with_the_connection_also_without_clean_session() -> None:
    with rig() as running, running.connected(1) as says:
        with running.connected(0, clean_session=False) as hears:
            hears.send(Subscribe(packet_id=1, filters=(("a", 1),)))
            assert hears.take() == Suback(packet_id=1, codes=(1,))
        until(lambda: running.endpoint.stats.connections == 1)
        with running.connected(0, clean_session=False) as back:  # asserts: no session present
            says.send(Publish(topic="a", payload=b"", qos=1, packet_id=1))
            assert says.take() == Puback(1)
            assert back.silent()


def test_no_more_filters_than_the_bound() -> None:
    with rig() as running, running.connected(0) as device:
        filters = tuple((f"t/{n}", 0) for n in range(101))
        device.send(Subscribe(packet_id=1, filters=filters))
        assert device.take() == Suback(packet_id=1, codes=(0,) * 100 + (128,))
        device.send(Subscribe(packet_id=2, filters=(("t/1", 1), ("t/" * 40, 0))))
        assert device.take() == Suback(packet_id=2, codes=(1, 128))


def test_a_device_that_does_not_acknowledge_is_bounded_and_then_ended() -> None:
    with rig() as running, running.connected(0) as slow, running.connected(1) as says:
        slow.send(Subscribe(packet_id=1, filters=(("t", 1),)))
        assert slow.take() == Suback(packet_id=1, codes=(1,))
        room = WINDOW + QUEUE_MESSAGES_MAX
        for number in range(1, room + 1):
            says.send(Publish(topic="t", payload=b"", qos=1, packet_id=number))
            assert says.take() == Puback(number)
        assert [type(slow.take()) for _ in range(WINDOW)] == [Publish] * WINDOW
        assert slow.silent()
        slow.send(Puback(1))
        assert slow.take() == Publish(topic="t", payload=b"", qos=1, packet_id=WINDOW + 1)
        for number in range(3):
            says.send(Publish(topic="t", payload=b"", qos=1, packet_id=number + 1))
            assert says.take() == Puback(number + 1)
        assert slow.closed()
        assert running.endpoint.stats.slow_readers == 1


def test_a_device_that_does_not_read_loses_qos_0_and_keeps_no_one_waiting() -> None:
    bounds = Bounds(body_s=1.0)
    with rig(bounds=bounds) as running, running.connected(0) as deaf, running.connected(1) as says:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.send(Subscribe(packet_id=1, filters=(("t", 0),)))
        assert deaf.take() == Suback(packet_id=1, codes=(0,))
        payload = b"x" * 60_000
        number = 0
        ends = time.monotonic() + 8
        while running.endpoint.stats.dropped == 0 and time.monotonic() < ends:
            number += 1
            says.send(Publish(topic="t", payload=payload, qos=1, packet_id=number))
            assert says.take() == Puback(number)
        assert running.endpoint.stats.dropped > 0
        until(lambda: running.endpoint.stats.connections == 1)  # and then it is ended
        says.send(Pingreq())
        assert says.take() == Pingresp()


# ---- ends ----------------------------------------------------------------------------------------


def test_the_same_client_of_a_line_takes_over() -> None:
    with rig() as running, running.connected(0, client_id="one", username=name(0)) as old:
        with running.connected(1, client_id="one", username=name(1)) as of_another_line:
            new = running.connected(0, client_id="one", username=name(0))
            assert old.closed()
            of_another_line.send(Pingreq())
            assert of_another_line.take() == Pingresp()
            new.send(Pingreq())
            assert new.take() == Pingresp()
            new.close()
        assert running.endpoint.stats.takeovers == 1


@pytest.mark.parametrize("end", ["disconnect", "close", "breach", "takeover", "idle"])
def test_a_will_is_a_request_unless_the_device_said_goodbye(end: str) -> None:
    scale = 60 if end == "idle" else 1
    with rig(scale=scale) as running, running.connected(1, keep_alive_s=0) as hears:
        hears.send(Subscribe(packet_id=1, filters=(("w", 1),)))
        assert hears.take() == Suback(packet_id=1, codes=(1,))
        will = Will(topic="w", payload=b"gone", qos=1, retain=True)
        keep_alive_s = 5 if end == "idle" else 0
        device = running.connected(0, will=will, keep_alive_s=keep_alive_s)
        again = None
        if end == "disconnect":
            device.send(Disconnect())
        elif end == "breach":
            device.send(Pubrel(1))
        elif end == "takeover":
            again = running.connected(0, keep_alive_s=0)
        if end == "close":
            device.close()
        else:
            assert device.closed()
        if end == "disconnect":
            assert hears.silent()
        else:
            assert hears.take() == Publish(topic="w", payload=b"gone", qos=1, packet_id=1)
        expected = [] if end == "disconnect" else [entry(0).sim_id]
        assert [one.subject for one in running.counter.requests()] == expected
        device.close()
        if again is not None:
            again.close()


def test_an_abrupt_end_leaves_the_cellular_session() -> None:
    with rig() as running:
        device = running.connected(0)
        device.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        device.close()  # a reset
        until(lambda: running.endpoint.stats.connections == 0)
        line = running.gateway.line_named(name(0))
        assert line is not None
        assert line.session is not None
        assert not line.session.ghost


def test_idle_connections_are_cut_in_service_time() -> None:
    """Sixty times as fast: 1.5 x 20 s is half a second, 30 min half a minute."""
    with rig(scale=60) as running:
        quiet = running.connected(0, keep_alive_s=20)
        without = running.connected(1, keep_alive_s=0)
        lively = running.connected(2, keep_alive_s=20)
        began = time.monotonic()
        for _ in range(5):
            time.sleep(0.2)
            lively.send(Pingreq())
            assert lively.take() == Pingresp()
        assert quiet.closed()
        assert 0.9 < time.monotonic() - began < 3
        without.send(Pingreq())
        assert without.take() == Pingresp()
        assert running.endpoint.stats.idle_cuts == 1
        for device in (quiet, without, lively):
            device.close()


def test_who_says_nothing_or_too_slowly_is_cut() -> None:
    with rig(bounds=Bounds(header_s=0.4)) as running:
        silent, slow = running.device(), running.device()
        data = encode(Connect(client_id=name(0)))
        began = time.monotonic()
        for byte in data[:3]:
            slow.raw(bytes((byte,)))
            time.sleep(0.05)
        assert silent.take() is None
        assert slow.take() is None
        assert 0.3 < time.monotonic() - began < 2
        silent.close()
        slow.close()


def test_no_more_connections_than_the_bound() -> None:
    with rig(bounds=Bounds(connections=2)) as running:
        kept = [running.connected(0), running.connected(1)]
        with running.device() as third:
            assert third.take() is None
        kept[0].close()
        until(lambda: running.endpoint.stats.connections == 1)
        running.connected(2).close()
        kept[1].close()
        assert running.endpoint.stats.full == 1


def test_the_end_of_the_service_answers_what_is_under_way_and_sends_no_wills() -> None:
    running = Rig()
    running.start()
    device = running.connected(0, will=Will(topic="w", payload=b""))
    running.counter.delay_s = 0.3
    device.send(Publish(topic="t", payload=b"", qos=1, packet_id=1))
    until(lambda: running.endpoint.stats.published == 1)
    running.stop()
    assert device.take() == Puback(1)
    assert device.take() is None
    device.close()
    assert len(running.counter.requests()) == 1
    assert running.endpoint.stats.wills == 0


def test_every_line_connects_at_once() -> None:
    with rig() as running:
        devices = [running.connected(number) for number in range(LINES)]
        assert running.endpoint.stats.connections == LINES
        for device in devices:
            device.close()
        until(lambda: running.endpoint.stats.connections == 0)
        assert not running.endpoint._clients
        assert not running.endpoint._wheel._buckets
