"""An MQTT broker behind a VPG: one connection for all its lines, kept up.

Owns: that connection, its coming back, its subscriptions, and messages up (QoS 1, awaited). Does
not own: which line takes a message that comes down. The only place that knows ``aiomqtt``. Times:
seconds of this machine.

A message is taken once the broker has acknowledged it. A connection that breaks fails what waits
for its acknowledgement at once: the broker may have it or not, and the device sends it again. What
a broker retained before is not handed down: the connection is shared, so it would reach whoever
subscribed long ago.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import aiomqtt

from vpg.service.mqtt.topics import valid_name
from vpg.service.upstream_link import FAILED, TAKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from vpg.service.log import Log
    from vpg.service.upstream_link import Headers, Line, UpstreamAnswer

PORT: Final = 1883
CONNECT_S: Final = 5.0
KEEP_ALIVE_S: Final = 10
GRACE_S: Final = 1.0
"""A message that comes while there is no connection waits this long for one, then it failed."""
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 3.0
CALLS: Final = 64
"""Messages under way at a time; more wait within their deadline."""
QUEUED: Final = 1_000
_SUBSCRIBE_AT_ONCE: Final = 100
_REFUSED: Final = 0x80
Returned = TypeVar("Returned")
_QUIET: Final = logging.getLogger("vpg.service.upstream_mqtt")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


class MqttUpstream:
    """Sends to one broker and hands down what it was asked to subscribe to."""

    def __init__(self, url: str, *, name: str, log: Log) -> None:
        """Connect to ``mqtt://[user:password@]host[:port]`` under the client id ``name``."""
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._port = parts.port or PORT
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._name = name
        self._log = log
        self._filters: dict[str, int] = {}
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._stopping = asyncio.Event()
        self._under_way: set[asyncio.Task[object]] = set()
        self._task: asyncio.Task[None] | None = None
        self.handed_down: Callable[[str, bytes, int], None] | None = None
        """Told (topic, payload, QoS) of each message that comes down; must not raise."""

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached at this moment."""
        return self._connected.is_set()

    async def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.create_task(self._run(), name=f"upstream {self._name}")

    async def stop(self) -> None:
        """Disconnect; what is under way fails."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def send(  # noqa: PLR0917 - one exchange, in the order of its parts
        self,
        line: Line,
        service: str,
        target: str,
        body: bytes,
        headers: Headers = (),
        timeout_s: float = 30.0,
        method: str = "POST",
    ) -> UpstreamAnswer:
        """Publish at QoS 1 and wait for the broker; a path is the topic without its first slash."""
        del line, headers, method
        topic = target
        if topic.startswith("/"):  # a path
            topic = topic.partition("?")[0].lstrip("/") or service
        if not valid_name(topic):
            return FAILED
        try:
            async with asyncio.timeout(timeout_s):
                client = await self._reached(min(GRACE_S, timeout_s))
                publishing = client.publish(topic, body, qos=1, timeout=timeout_s)
                await self._while_connected(publishing)
        except (TimeoutError, OSError, ValueError, RuntimeError, aiomqtt.MqttError):
            return FAILED
        return TAKEN

    async def subscribe(self, pattern: str, timeout_s: float = CONNECT_S) -> bool:
        """Subscribe, and again after every reconnect; return False if the broker refuses.

        A broker that cannot be reached now is asked as soon as it can.
        """
        self._filters[pattern] = 1
        client = self._client
        if client is None:
            return True
        with suppress(TimeoutError, OSError, ValueError, RuntimeError, aiomqtt.MqttError):
            granted = await self._while_connected(
                client.subscribe(pattern, qos=1, timeout=timeout_s)
            )
            if any(_code(one) >= _REFUSED for one in granted):
                self._filters.pop(pattern, None)
                return False
        return True

    async def unsubscribe(self, pattern: str, timeout_s: float = CONNECT_S) -> None:
        """End a subscription."""
        self._filters.pop(pattern, None)
        client = self._client
        if client is not None:
            with suppress(TimeoutError, OSError, ValueError, RuntimeError, aiomqtt.MqttError):
                await self._while_connected(client.unsubscribe(pattern, timeout=timeout_s))

    # ---- the connection --------------------------------------------------------------------------

    async def _reached(self, wait_s: float) -> aiomqtt.Client:
        if self._client is None:
            async with asyncio.timeout(wait_s):
                await self._connected.wait()
        if self._client is None:
            raise TimeoutError
        return self._client

    async def _run(self) -> None:
        wait_s = BACKOFF_FIRST_S
        told = False
        while not self._stopping.is_set():
            why = ""
            try:
                if await self._connection():
                    wait_s, told = BACKOFF_FIRST_S, False
                why = "connection lost"
            except (OSError, ValueError, aiomqtt.MqttError) as trouble:
                why = str(trouble) or type(trouble).__name__
            if self._stopping.is_set():
                return
            if not told:
                self._log.warning("upstream_lost", upstream=self._name, why=why)
                told = True
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stopping.wait()
            wait_s = min(2 * wait_s, BACKOFF_MAX_S)

    async def _connection(self) -> bool:
        """Connect once and stay; return after the connection's end. Raises if there was none."""
        client = aiomqtt.Client(
            self._host,
            self._port,
            identifier=self._name,
            username=self._user,
            password=self._password,
            clean_session=True,
            keepalive=KEEP_ALIVE_S,
            timeout=CONNECT_S,
            max_inflight_messages=2 * CALLS,
            max_queued_outgoing_messages=QUEUED,
            max_queued_incoming_messages=QUEUED,
            max_concurrent_outgoing_calls=CALLS,
            logger=_QUIET,
        )
        client.pending_calls_threshold = 2 * CALLS
        try:
            await client.__aenter__()
        except aiomqtt.MqttError:
            # It stays half open, with its reader on the loop, unless somebody closes it.
            client._client.disconnect()  # noqa: SLF001 - aiomqtt offers no other way
            raise
        try:
            await self._restore(client)
            self._client = client
            self._connected.set()
            self._log.info("upstream_reached", upstream=self._name)
            await self._stay(client)
        finally:
            self._client = None
            self._connected.clear()
            for task in list(self._under_way):
                task.cancel()
            with suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)
        return True

    async def _restore(self, client: aiomqtt.Client) -> None:
        wanted = list(self._filters.items())
        for start in range(0, len(wanted), _SUBSCRIBE_AT_ONCE):
            await client.subscribe(wanted[start : start + _SUBSCRIBE_AT_ONCE], timeout=CONNECT_S)

    async def _stay(self, client: aiomqtt.Client) -> None:
        pump = asyncio.create_task(self._pump(client))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({pump, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pump, stop):
                task.cancel()
            await asyncio.gather(pump, stop, return_exceptions=True)

    async def _pump(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if self.handed_down is not None and not message.retain:
                payload = message.payload
                raw = payload if isinstance(payload, bytes) else b""
                self.handed_down(message.topic.value, raw, message.qos)

    async def _while_connected(self, call: Coroutine[Any, Any, Returned]) -> Returned:
        """Await ``call``; raises ``MqttError`` at once when the connection ends before it does."""
        task = asyncio.create_task(call)
        self._under_way.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                task.cancel()
                raise
            raise aiomqtt.MqttError("the connection ended") from None
        finally:
            self._under_way.discard(task)


def _code(granted: object) -> int:
    """Return the return code of one subscription, however paho wraps it."""
    value = getattr(granted, "value", granted)
    return value if isinstance(value, int) else _REFUSED
