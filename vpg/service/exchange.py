"""One request of a device, from its arrival to what it is told: the same over HTTP and MQTT.

Owns: the order of steps: verdict, queue, way to the upstream, upstream, copies, count. Does not
own: any of the decisions (``vpg.service.gateway``), the wire, or the words of the answer. Times:
service time but for what is slept, which is this machine's.

An admitted request is answered only after its event's commit. Where that fails (503) the event is
forgotten: what the device sends again is counted then. A device that goes away meanwhile changes
nothing: its request has been sent on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from vpg.errors import ensure
from vpg.service.junction_sender import Crossing
from vpg.service.ports import COUNTED
from vpg.service.upstream_link import FAILED, TAKEN, UpstreamAnswer

if TYPE_CHECKING:
    from vpg.service.gateway.answers import Verdict
    from vpg.service.gateway.lines import Line
    from vpg.service.parts import Parts

_NOBODY: Final = "0.0.0.0"  # noqa: S104 - a copy's source where the line has no address


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a device asks for."""

    service: Literal["beam", "funnel", "funk"]
    target: str
    """Path with its query, or topic."""
    body: bytes
    method: str = "POST"
    headers: Sequence[tuple[bytes, bytes]] = ()
    answer_bytes: int = 0
    """Length of the answer that the gateway makes up where it has no upstream."""
    entry: tuple[str, int] = (_NOBODY, 0)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of it; ``accepted`` and ``failed_upstream`` are counted and durable."""

    kind: Literal["accepted", "throttled", "no_session", "failed_upstream"]
    reason: str = ""
    retry_after_us: int = 0
    """Service time; 0: nothing said."""
    answer: UpstreamAnswer = FAILED


async def exchange(parts: Parts, line: Line, asked: Asked) -> Outcome:
    """Carry out one request of ``line``.

    Raises ``OverloadedError`` or ``StoreTroubleError``: it was not counted.
    """
    clock, gateway = parts.clock, parts.gateway
    arrived_us = clock.now_us()
    waiting = parts.outbox.waiting
    verdict = gateway.request(
        line, asked.service, arrived_us, attach_first=parts.rules.implicit_attach
    )
    begins = parts.outbox.waiting > waiting
    while verdict.outcome == "waiting":
        await asyncio.sleep(clock.wall_s(verdict.wait_us))
        verdict = gateway.queued(verdict, clock.now_us())
    if verdict.outcome != "admitted":
        if verdict.outcome == "throttled":
            _mirror(parts, line, asked, None, throttled=True)
        return Outcome(
            kind=verdict.outcome, reason=verdict.reason, retry_after_us=verdict.retry_after_us
        )
    if begins:
        await parts.outbox.send()  # Its session is kept before it is answered.
    answer = await _deliver(parts, line, asked, verdict)
    now_us = clock.now_us()
    event = gateway.finish(
        line,
        asked.service,
        verdict.admitted_us,
        now_us,
        delivered=answer.ok,
        bytes_up=len(asked.body),
        bytes_down=len(answer.body),
        delay_us=now_us - arrived_us if answer.ok else None,
        flagged=verdict.flagged,
    )
    _mirror(parts, line, asked, answer if answer.ok else None, throttled=False)
    (counted,) = await parts.counter.count([event])
    ensure(counted == COUNTED, "an event of our own has an id of its own")
    return Outcome(kind="accepted" if answer.ok else "failed_upstream", answer=answer)


async def _deliver(parts: Parts, line: Line, asked: Asked, verdict: Verdict) -> UpstreamAnswer:
    clock = parts.clock
    if verdict.path_us:
        await asyncio.sleep(clock.wall_s(verdict.path_us))
    if verdict.fails:
        return FAILED
    vpg = line.vpg
    link = None if vpg is None else parts.upstreams.get(vpg.id)
    if vpg is None or link is None or not vpg.order.upstream.url:
        if asked.answer_bytes:
            return UpstreamAnswer(ok=True, status=200, body=bytes(asked.answer_bytes))
        return TAKEN
    return await link.send(
        line,
        asked.service,
        asked.target,
        asked.body,
        asked.headers,
        clock.wall_s(vpg.order.upstream.timeout_us),
        asked.method,
    )


def _mirror(
    parts: Parts, line: Line, asked: Asked, answer: UpstreamAnswer | None, *, throttled: bool
) -> None:
    vpg, sender = line.vpg, parts.junction
    if vpg is None or sender is None or not vpg.mirror.on:
        return
    copies = parts.gateway.mirrored(
        line,
        parts.clock.now_us(),
        request_bytes=len(asked.body),
        answer_bytes=None if answer is None else len(answer.body),
        throttled=throttled,
    )
    if not copies:
        return
    order = vpg.order
    crossing = Crossing(
        vpg_id=vpg.id,
        device=line.entry.address or _NOBODY,
        entry=asked.entry,
        request=asked.body,
        answer=b"" if answer is None else answer.body,
        overhead_bytes=order.message_overhead_bytes,
        header_bytes=order.header_bytes,
    )
    sender.send(crossing, copies)
