"""Copies on the wire, byte by byte: GRE in UDP, IPv4 and transport headers with right checksums."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support_mqtt import entry, rig
from vpg.gateway import junction
from vpg.service.gateway.answers import Copy
from vpg.service.junction_sender import (
    GRE_HEADER,
    QUEUE_PACKETS_MAX,
    Crossing,
    JunctionSender,
    checksum,
    inner_packet,
)
from vpg.service.mqtt.packets import Puback, Publish
from vpg.service.values import GRE_IN_UDP_PORT, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE, ENTRY = "127.1.2.3", ("127.0.0.1", 8888)
MTU = 1_500


def slow_sum(data: bytes) -> int:
    """Return the 16-bit one's complement sum as RFC 791 and RFC 1071 say it, bit by bit."""
    total = 0
    for place in range(0, len(data), 2):
        total += data[place] << 8 | (data[place + 1] if place + 1 < len(data) else 0)
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.binary(max_size=200) | st.integers(0, 20).map(lambda n: b"\xff\xff" * n))
def test_the_checksum_is_that_of_the_standard(data: bytes) -> None:
    assert checksum(data) == 0xFFFF ^ slow_sum(data)


def whole(payload: bytes, header_bytes: int, overhead_bytes: int, *, answer: bool) -> list[Copy]:
    """Return the copies of one direction of a message, as the gateway splits it."""
    room = MTU - header_bytes
    size = len(payload) + overhead_bytes
    count = junction.packets(len(payload), overhead_bytes, MTU, header_bytes)
    return [
        Copy(Peer(ip="127.0.0.1"), answer, n * room, min(size - n * room, room))
        for n in range(count)
    ]


@given(
    payload=st.binary(max_size=4_000),
    header_bytes=st.sampled_from([20, 24, 28, 30, 40, 41, 52, 80, 84]),
    overhead_bytes=st.integers(0, 60),
    answer=st.booleans(),
)
def test_inner_packets_carry_the_message_and_exactly_the_counted_bytes(
    payload: bytes, header_bytes: int, overhead_bytes: int, answer: bool
) -> None:
    crossing = Crossing(
        vpg_id="v1",
        device=DEVICE,
        entry=ENTRY,
        request=b"" if answer else payload,
        answer=payload if answer else b"",
        overhead_bytes=overhead_bytes,
        header_bytes=header_bytes,
    )
    copies = whole(payload, header_bytes, overhead_bytes, answer=answer)
    packets = [inner_packet(crossing, copy, number) for number, copy in enumerate(copies)]
    content = b""
    for number, packet in enumerate(packets):
        content += read_ip(packet, number, header_bytes, answer=answer)
    assert content == b"\x00" * overhead_bytes + payload
    counted = junction.mirrored_bytes(len(payload), overhead_bytes, MTU, header_bytes)
    assert sum(len(one) + junction.GRE_BYTES for one in packets) == counted


def read_ip(packet: bytes, number: int, header_bytes: int, *, answer: bool) -> bytes:
    """Check every field of the headers (RFC 791, 768, 9293) and return what they carry."""
    assert packet[0] == 0x45
    assert packet[1] == 0
    assert int.from_bytes(packet[2:4], "big") == len(packet) <= MTU
    assert int.from_bytes(packet[4:6], "big") == number & 0xFFFF
    assert packet[6:8] == b"\x00\x00"
    assert packet[8] == 64
    assert slow_sum(packet[:20]) == 0xFFFF
    source, target = (str(ipaddress.IPv4Address(packet[n : n + 4])) for n in (12, 16))
    assert (source, target) == ((ENTRY[0], DEVICE) if answer else (DEVICE, ENTRY[0]))
    segment = packet[20:]
    transport = header_bytes - 20
    protocol = packet[9]
    pseudo = packet[12:20] + bytes((0, protocol)) + len(segment).to_bytes(2, "big")
    ports = [int.from_bytes(segment[n : n + 2], "big") for n in (0, 2)]
    if 20 <= transport <= 60 and transport % 4 == 0:
        assert protocol == 6
        assert (ports[0] if answer else ports[1]) == ENTRY[1]
        assert slow_sum(pseudo + segment) == 0xFFFF
        assert segment[12] >> 4 == transport // 4
        assert segment[20:transport] == b"\x01" * (transport - 20)
    elif transport >= 8:
        assert protocol == 17
        assert (ports[0] if answer else ports[1]) == ENTRY[1]
        assert slow_sum(pseudo + segment) == 0xFFFF
        assert int.from_bytes(segment[4:6], "big") == len(segment)
    else:
        assert protocol == 253
    return segment[transport:]


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        yield receiver


def crossing(request: bytes = b"hello", vpg_id: str = "v1") -> Crossing:
    return Crossing(
        vpg_id=vpg_id,
        device=DEVICE,
        entry=ENTRY,
        request=request,
        answer=b"",
        overhead_bytes=0,
        header_bytes=40,
    )


def run(copies: list[Copy], one: Crossing, *, wait_s: float = 0.2) -> tuple[list[str], int]:
    """Send ``copies``; return what was dropped and how many were sent."""
    dropped: list[str] = []

    async def send() -> int:
        sender = JunctionSender(lambda vpg_id, to: dropped.append(f"{vpg_id} {to.ip}"))
        sender.start()
        sender.send(one, copies)
        ends = asyncio.get_running_loop().time() + wait_s
        while sender.waiting and asyncio.get_running_loop().time() < ends:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        sender.stop()
        return sender.sent

    return dropped, asyncio.run(send())


def test_a_copy_arrives_as_gre_in_udp(peer: socket.socket) -> None:
    port = peer.getsockname()[1]
    assert run([Copy(Peer(ip="127.0.0.1", port=port), False, 0, 5)], crossing()) == ([], 1)
    data = peer.recv(65_535)
    # RFC 2784 section 2: no flags, version 0, protocol type 0x0800.
    assert data[:4] == GRE_HEADER == bytes.fromhex("00000800")
    assert read_ip(data[4:], 0, 40, answer=False) == b"hello"
    assert GRE_IN_UDP_PORT == 4754


def test_copies_keep_their_order(peer: socket.socket) -> None:
    to = Peer(ip="127.0.0.1", port=peer.getsockname()[1])
    copies = [Copy(to, False, 0, 5)] * 150
    assert run(copies, crossing()) == ([], 150)
    numbers = [int.from_bytes(peer.recv(65_535)[8:10], "big") for _ in copies]
    assert numbers == list(range(150))


@pytest.mark.parametrize("ip", ["::1", "localhost", "peer.example", "", "1.2.3", "127.0.0.1\x00"])
def test_a_peer_that_is_no_ipv4_address_drops_and_never_looks_up(ip: str) -> None:
    assert run([Copy(Peer(ip=ip), False, 0, 5)] * 2, crossing()) == ([f"v1 {ip}"] * 2, 0)


def test_what_cannot_be_sent_is_dropped_and_the_rest_goes_on(peer: socket.socket) -> None:
    near = Peer(ip="127.0.0.1", port=peer.getsockname()[1])
    far = Peer(ip="255.255.255.255")  # broadcast: not permitted
    dropped, sent = run([Copy(far, False, 0, 5), Copy(near, False, 0, 5)], crossing())
    assert (dropped, sent) == (["v1 255.255.255.255"], 1)


def test_nobody_listens_and_nobody_waits() -> None:
    dropped, sent = run([Copy(Peer(ip="127.0.0.1", port=9), False, 0, 5)] * 5, crossing())
    assert (dropped, sent) == ([], 5)  # UDP: sent is all one knows


def test_the_queue_is_bounded_and_counts_what_it_drops() -> None:
    dropped: list[str] = []

    async def flood() -> tuple[int, int]:
        sender = JunctionSender(lambda vpg_id, _: dropped.append(vpg_id))
        sender.start()
        to = Peer(ip="127.0.0.1", port=9)
        sender.send(crossing(), [Copy(to, False, 0, 5)] * (QUEUE_PACKETS_MAX + 7))
        waiting, over = sender.waiting, len(dropped)
        sender.stop()
        return waiting, over

    assert asyncio.run(flood()) == (QUEUE_PACKETS_MAX, 7)
    assert len(dropped) == QUEUE_PACKETS_MAX + 7  # the end of the service drops the rest


def test_a_full_socket_waits_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that is full now and then, as a real one under load."""
    refused = [0]
    real = socket.socket.sendto

    def sometimes(self: socket.socket, data: bytes, to: tuple[str, int]) -> int:
        refused[0] += 1
        if refused[0] % 3:
            raise BlockingIOError
        return real(self, data, to)

    monkeypatch.setattr(socket.socket, "sendto", sometimes)
    assert run([Copy(Peer(ip="127.0.0.1", port=9), False, 0, 5)] * 20, crossing(), wait_s=2) == (
        [],
        20,
    )
    assert refused[0] == 60


def test_before_the_start_everything_is_dropped() -> None:
    dropped: list[str] = []
    JunctionSender(lambda vpg_id, _: dropped.append(vpg_id)).send(
        crossing(), [Copy(Peer(ip="127.0.0.1"), False, 0, 5)]
    )
    assert dropped == ["v1"]


def test_what_devices_publish_is_copied_to_every_peer(peer: socket.socket) -> None:
    """From a device's PUBLISH to the bytes at the peer; the count is of the same packets."""
    to = Peer(ip="127.0.0.1", port=peer.getsockname()[1])
    away = Peer(ip="peer.example")
    unused = Peer(ip="127.0.0.1", port=9, enabled=False)
    line = entry(40, address="127.7.0.40")
    with rig(peers=(to, away, unused), lines=[line]) as running:
        with running.device("127.7.0.40") as device:
            assert device.connect(client_id="c", keep_alive_s=60) == 0
            payload = bytes(range(256)) * 12
            device.send(Publish(topic="t", payload=payload, qos=1, packet_id=1))
            assert device.take() == Puback(1)
        count = junction.packets(len(payload), 0, MTU, 40)
        received = [peer.recv(65_535) for _ in range(count)]
        assert {one[:4] for one in received} == {GRE_HEADER}
        inner = [one[4:] for one in received]
        assert b"".join(one[40:] for one in inner) == payload
        addresses = {(one[12:16], one[16:20], one[22:24]) for one in inner}
        ports = running.port.to_bytes(2, "big")
        assert addresses == {(b"\x7f\x07\x00\x28", b"\x7f\x00\x00\x01", ports)}
        assert running.dropped == ["v1"] * count  # of the peer that is no address
        seconds = running.gateway.vpg("v1").seconds
        assert seconds.mirrored_bytes == 2 * junction.mirrored_bytes(len(payload), 0, MTU, 40)
