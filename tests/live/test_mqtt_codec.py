"""The MQTT codec: what is written is read, in any pieces, and nothing else gets through."""

from __future__ import annotations

import itertools
import socket
import threading
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from vpg.service.mqtt.codec import Decoder, MqttError, OversizeError, encode
from vpg.service.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)

if TYPE_CHECKING:
    from vpg.service.mqtt.packets import Packet

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
NAMES = TEXT.map(lambda text: text.replace("+", "").replace("#", "") or "t")
LEVELS = st.one_of(NAMES.map(lambda text: text.replace("/", "")), st.just("+"))
FILTERS = st.tuples(st.lists(LEVELS, max_size=4), st.booleans()).map(
    lambda made: "/".join([*made[0], *(["#"] if made[1] else [])]) or "f"
)
IDS = st.integers(1, 65_535)
PAYLOADS = st.binary(max_size=300)
WILLS = st.builds(Will, topic=NAMES, payload=PAYLOADS, qos=st.integers(0, 2), retain=st.booleans())


def _connect(made: Connect) -> Connect:
    return (
        made
        if made.username is not None
        else Connect(
            **{name: getattr(made, name) for name in made.__struct_fields__} | {"password": None}
        )
    )


def _publish(made: Publish) -> Publish:
    return made if made.qos else Publish(topic=made.topic, payload=made.payload, retain=made.retain)


CONNECTS = st.builds(
    Connect,
    client_id=TEXT,
    clean_session=st.booleans(),
    keep_alive_s=st.integers(0, 65_535),
    will=st.none() | WILLS,
    username=st.none() | TEXT,
    password=st.none() | PAYLOADS,
).map(_connect)
PUBLISHES = st.builds(
    Publish,
    topic=NAMES,
    payload=PAYLOADS,
    qos=st.integers(0, 2),
    retain=st.booleans(),
    dup=st.booleans(),
    packet_id=IDS,
).map(_publish)
PACKETS: st.SearchStrategy[Packet] = st.one_of(
    CONNECTS,
    PUBLISHES,
    st.builds(Connack, code=st.just(0), session_present=st.booleans()),
    st.builds(Connack, code=st.integers(1, 5)),
    st.sampled_from([Puback, Pubrec, Pubrel, Pubcomp, Unsuback]).flatmap(
        lambda kind: st.builds(kind, IDS)
    ),
    st.builds(
        Subscribe,
        packet_id=IDS,
        filters=st.lists(st.tuples(FILTERS, st.integers(0, 2)), min_size=1, max_size=3).map(tuple),
    ),
    st.builds(
        Suback,
        packet_id=IDS,
        codes=st.lists(st.sampled_from([0, 1, 2, 128]), min_size=1, max_size=3).map(tuple),
    ),
    st.builds(
        Unsubscribe, packet_id=IDS, filters=st.lists(FILTERS, min_size=1, max_size=3).map(tuple)
    ),
    st.sampled_from([Pingreq(), Pingresp(), Disconnect()]),
)


def read(pieces: list[bytes], bytes_max: int = 1_000_000) -> tuple[list[Packet], str]:
    """Return what the decoder makes of ``pieces``: packets, and why it stopped (empty: not)."""
    decoder, packets = Decoder(bytes_max), []
    for piece in pieces:
        decoder.feed(piece)
        try:
            while (packet := decoder.take()) is not None:
                packets.append(packet)
        except MqttError as why:
            return packets, str(why)
    return packets, ""


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(PACKETS, max_size=6), st.lists(st.integers(0, 10_000), max_size=20))
def test_what_is_written_is_read_in_any_pieces(packets: list[Packet], cuts: list[int]) -> None:
    data = b"".join(encode(packet) for packet in packets)
    assert read(split(data, cuts)) == (packets, "")
    assert read([bytes((byte,)) for byte in data]) == (packets, "")


@given(st.lists(PACKETS, max_size=3), st.binary(max_size=60), st.lists(st.integers(0, 500)))
def test_garbage_raises_nothing_but_its_own_error(
    packets: list[Packet], garbage: bytes, cuts: list[int]
) -> None:
    data = b"".join(encode(packet) for packet in packets) + garbage
    whole = read([data])
    assert read(split(data, cuts)) == whole
    assert whole[0][: len(packets)] == packets


@given(PACKETS, st.data())
def test_a_changed_byte_is_read_or_refused(packet: Packet, data: st.DataObject) -> None:
    raw = bytearray(encode(packet))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    packets, why = read([bytes(raw)])
    for one in packets:  # what got through is a packet that we would write too
        assert read([encode(one)])[0] == [one]
    assert isinstance(why, str)


@given(PUBLISHES, st.integers(2, 400))
def test_no_more_bytes_than_the_bound_wait(packet: Publish, bound: int) -> None:
    data = encode(packet)
    decoder = Decoder(bound)
    if len(data) <= bound:
        decoder.feed(data)
        assert decoder.take() == packet
        return
    with pytest.raises(OversizeError, match=f"a packet of {len(data)} bytes; {bound} at most"):
        _take_each(decoder, data[:5])  # told by the header alone, before any of the body is kept


def _take_each(decoder: Decoder, data: bytes) -> None:
    for byte in data:
        decoder.feed(bytes((byte,)))
        decoder.take()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("00 00", "type 0"),
        ("f0 00", "type 15"),
        ("11 00", "type 1 with flags 1"),
        ("60 02 00 01", "type 6 with flags 0"),
        ("80 05 00 01 00 01 61 00", "type 8 with flags 0"),
        ("36 05 00 01 61 00 01", "PUBLISH with flags 6"),
        ("38 03 00 01 61", "PUBLISH with flags 8"),
        ("30 80 80 80 80 01", "more than four bytes"),
        ("30 02 00 00", "empty or has wildcards"),
        ("30 03 00 01 2b", "empty or has wildcards"),
        ("30 04 00 02 c0 80", "not UTF-8"),
        ("30 05 00 03 ed a0 80", "not UTF-8"),
        ("30 03 00 01 00", "control characters"),
        ("30 04 00 02 c2 9f", "control characters"),
        ("30 03 00 02 61", "shorter than"),
        ("32 05 00 01 61 00 00", "packet identifier 0"),
        ("32 04 00 01 61 00", "shorter than"),
        ("40 02 00 00", "packet identifier 0"),
        ("40 03 00 01 00", "1 bytes after"),
        ("c0 01 00", "1 bytes after"),
        ("82 02 00 01", "SUBSCRIBE without a filter"),
        ("82 06 00 01 00 01 61 03", "SUBSCRIBE with options 3"),
        ("82 07 00 01 00 02 61 23 00", "wildcards out of place"),
        ("a2 02 00 01", "UNSUBSCRIBE without a filter"),
        ("10 0d 00 04 4d 51 54 54 04 03 00 3c 00 01 61", "CONNECT with flags 3"),
        ("10 0d 00 04 4d 51 54 54 04 42 00 3c 00 01 61", "no user name"),
        ("10 0d 00 04 4d 51 54 54 04 0a 00 3c 00 01 61", "CONNECT with flags 10"),
        ("10 0d 00 04 4d 51 54 54 04 22 00 3c 00 01 61", "CONNECT with flags 34"),
        ("10 0d 00 04 4d 51 54 54 04 1e 00 3c 00 01 61", "CONNECT with flags 30"),
        ("10 0d 00 04 48 54 54 50 04 02 00 3c 00 01 61", "another protocol"),
        ("10 0e 00 04 4d 51 54 54 04 02 00 3c 00 01 61 00", "1 bytes after"),
        ("20 02 01 05", "CONNACK with flags 1 and code 5"),
        ("90 03 00 01 03", "SUBACK"),
        ("47 45 54 20 2f 20 48", "type 4 with flags 7"),  # GET / H
    ],
)
def test_what_breaks_the_standard_is_refused_and_named(raw: str, why: str) -> None:
    packets, said = read([bytes.fromhex(raw)])
    assert packets == []
    assert why in said


@pytest.mark.parametrize(("name", "level"), [(b"MQTT", 5), (b"MQIsdp", 3), (b"MQTT", 0x84)])
def test_of_another_level_only_the_level_is_read(name: bytes, level: int) -> None:
    body = len(name).to_bytes(2, "big") + name + bytes((level,)) + b"\xff\x00whatever follows"
    packets, why = read([bytes((0x10, len(body))) + body])
    assert (packets, why) == ([Connect(level=level)], "")


def test_an_overlong_text_cannot_be_written() -> None:
    with pytest.raises(MqttError, match="65536 bytes where 65535 fit"):
        encode(Publish(topic="t" * 65_536, payload=b""))


def test_what_paho_sends_is_read_as_meant() -> None:
    """paho-mqtt's own bytes: nobody here wrote them."""
    received: list[Packet] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_hear_paho, args=(server, received))
        thread.start()
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="device-1")
        ended = threading.Event()
        client.on_unsubscribe = lambda *_: ended.set()
        client.username_pw_set("440101234567890", "token")
        client.will_set("last/words", b"\x00\xff", qos=1, retain=True)
        client.connect("127.0.0.1", server.getsockname()[1], keepalive=77)
        client.loop_start()
        client.publish("a/b", b"x" * 300, qos=1).wait_for_publish(10)
        client.subscribe([("a/+", 0), ("#", 2)])
        client.unsubscribe("a/+")
        assert ended.wait(10)  # closing with an answer unread would reset the connection
        client.publish("温度", "二十度".encode(), qos=0).wait_for_publish(10)
        client.disconnect()
        thread.join(10)
        client.loop_stop()
    will = Will(topic="last/words", payload=b"\x00\xff", qos=1, retain=True)
    assert received == [
        Connect(
            client_id="device-1",
            keep_alive_s=77,
            will=will,
            username="440101234567890",
            password=b"token",
        ),
        Publish(topic="a/b", payload=b"x" * 300, qos=1, packet_id=1),
        Subscribe(packet_id=2, filters=(("a/+", 0), ("#", 2))),
        Unsubscribe(packet_id=3, filters=("a/+",)),
        Publish(topic="温度", payload="二十度".encode()),
        Disconnect(),
    ]


def _hear_paho(server: socket.socket, received: list[Packet]) -> None:
    peer, _ = server.accept()
    decoder = Decoder()
    with peer:
        while data := peer.recv(7):
            decoder.feed(data)
            while (packet := decoder.take()) is not None:
                received.append(packet)
                match packet:
                    case Connect():
                        peer.sendall(encode(Connack()))
                    case Publish(qos=1):
                        peer.sendall(encode(Puback(packet.packet_id)))
                    case Subscribe():
                        peer.sendall(encode(Suback(packet_id=packet.packet_id, codes=(0, 1))))
                    case Unsubscribe():
                        peer.sendall(encode(Unsuback(packet.packet_id)))
