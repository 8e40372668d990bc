"""The service put together: parts, sockets, the ticker; start, drain, end.

Owns: the order in which things begin and end. Does not own: any part. What is acknowledged is
committed before, so an end at any moment loses nothing; a drain also tells the counts of the
running second. Times: ``*_us`` is service time, ``*_s`` seconds of this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from vpg.errors import InputError, Problem, ensure
from vpg.service import listening, ownership
from vpg.service.check import Checker
from vpg.service.http.apps import api_app, entry_app
from vpg.service.http.bounds import Traffic, bounded
from vpg.service.http.reading import charges_of
from vpg.service.junction_sender import JunctionSender
from vpg.service.log import bridged
from vpg.service.mqtt.endpoint import Endpoint
from vpg.service.opening import no_gateway, open_clock, open_gateway, open_store, register
from vpg.service.outbox import Outbox
from vpg.service.parts import Parts
from vpg.service.plan import API, MQTT
from vpg.service.ports import OverloadedError, StoreTroubleError
from vpg.service.upstream import make_upstream
from vpg.service.view import View, VpgView, owed
from vpg.service.writer import Writer
from vpg.timebase import SECOND_US, month_start

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterator

    from vpg.service.clock import RunningClock
    from vpg.service.gateway.gateway import Gateway
    from vpg.service.http.answers import App
    from vpg.service.log import Log
    from vpg.service.ownership import Claim
    from vpg.service.plan import Plan
    from vpg.service.store.base import Store
    from vpg.service.upstream_link import UpstreamLink
    from vpg.service.view import Amount

TICK_US: Final = SECOND_US // 5
TICK_S_MIN: Final = 0.02
"""However fast service time runs, the ticker leaves the loop to others."""
FORGET_EVERY_S: Final = 5.0
LEARN_EVERY_S: Final = 1.0
"""How old may be what a process beside the gateway's knows of VPGs and lines."""
MONEY_EVERY_S: Final = 5.0
"""How old the yen of the live view may be."""


class Server:
    """One service process."""

    def __init__(self, plan: Plan, log: Log) -> None:
        """Serve ``plan``, once started."""
        self._plan = plan
        self._log = log
        self._ends = AsyncExitStack()
        self._parts: Parts | None = None
        self._writer: Writer | None = None
        self._clock: RunningClock | None = None
        self._http: list[tuple[_Uvicorn, asyncio.Task[None]]] = []
        self._mqtt: Endpoint | None = None
        self._claim: Claim | None = None
        """None: another process is the gateway; this one counts and tells."""
        self._ending = asyncio.Event()
        self._money: dict[str, tuple[Amount, Amount]] = {}
        self._money_due_s = 0.0
        self.addresses: dict[str, tuple[str, int]] = {}
        """Name → address and port it listens on."""

    # ---- beginning -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Return once it answers; else nothing is left behind.

        Raises ``InputError`` with what is wrong with ports, TLS files or the store.
        """
        try:
            await self._start()
        except StoreTroubleError as trouble:
            await self._ends.aclose()
            values = {"reason": str(trouble)}
            raise InputError([Problem(code="VPG1803", values=values)]) from trouble
        except BaseException:
            await self._ends.aclose()
            raise

    async def _start(self) -> None:
        plan, ends = self._plan, self._ends
        ends.enter_context(bridged(self._log))
        tls = None if plan.tls is None else listening.tls_context(plan.tls)
        sockets = listening.bound(plan.host, plan.ports)
        for sock in sockets.values():
            ends.callback(sock.close)
        parts = await self._open()
        for name, sock in sockets.items():
            self.addresses[name] = sock.getsockname()[:2]
        for name, (_, port) in self.addresses.items():
            if name not in {API, MQTT}:
                parts.entries[port] = name
        for link in parts.upstreams.values():
            await link.start()
            ends.push_async_callback(link.stop)
        if parts.junction is not None:
            parts.junction.start()
            ends.callback(parts.junction.stop)
        await self._listen(parts, sockets, tls)
        for name, work in (("ticker", self._tick), ("keeper", self._keep)):
            task = asyncio.create_task(work(parts), name=name)
            ends.push_async_callback(self._ended, task)
        self._log.info("ready", store=plan.store.rpartition("@")[2], lines=self.line_count)

    async def _open(self) -> Parts:
        """Open the store and what stands on it."""
        plan, ends = self._plan, self._ends
        claim = ownership.claim(plan.store)
        if claim is not None:
            ends.callback(claim.release)
        elif set(plan.ports) != {API} or not ownership.is_database(plan.store):
            raise InputError([Problem(code="VPG1884")])
        self._claim = claim
        store = open_store(plan)
        ends.callback(store.close)
        self._clock = clock = open_clock(plan, store)
        register(plan, store, is_first=claim is not None)
        life = store.begin_life()
        make = no_gateway if claim is None else open_gateway
        gateway = make(plan, store, now_us=clock.now_us(), life=life)
        self._writer = Writer(store=store, clock=clock, pending_events=plan.bounds.pending_events)
        self._writer.start()
        ends.push_async_callback(self._writer.stop)
        outbox = Outbox(gateway.outbox, self._writer, self._log)
        try:
            await outbox.send()
        except OverloadedError as overload:
            raise StoreTroubleError(str(overload)) from overload
        self._parts = Parts(
            gateway=gateway,
            counter=self._writer,
            outbox=outbox,
            checker=Checker(store=store, rules=plan.rules, configs=False),
            store=store,
            clock=clock,
            catalogue=plan.catalogue,
            billing=plan.billing,
            rules=plan.rules,
            bounds=plan.bounds,
            traffic=Traffic(plan.bounds),
            log=self._log,
            upstreams=self._upstreams(store, life),
            tokens=plan.tokens,
            junction=JunctionSender(lambda vpg_id, _peer: _copy_dropped(gateway, vpg_id)),
        )
        return self._parts

    def _upstreams(self, store: Store, life: int) -> dict[str, UpstreamLink]:
        return {
            order.id: make_upstream(
                order.upstream.url, name=f"vpg-{order.id}-{life}", log=self._log
            )
            for order in store.vpgs()
        }

    async def _listen(
        self, parts: Parts, sockets: dict[str, socket.socket], tls: ssl.SSLContext | None
    ) -> None:
        devices = [sock for name, sock in sockets.items() if name not in {API, MQTT}]
        await self._serve(api_app(parts), [sockets[API]], parts, tls)
        if devices:
            await self._serve(entry_app(parts), devices, parts, None)
        if MQTT in sockets:
            self._mqtt = Endpoint(parts)
            await self._mqtt.start(sockets[MQTT])
            self._ends.push_async_callback(self._mqtt.stop)

    async def _serve(
        self, app: App, sockets: list[socket.socket], parts: Parts, tls: ssl.SSLContext | None
    ) -> None:
        config = uvicorn.Config(
            app,
            loop="none",
            http=bounded(parts.traffic),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # whoever says X-Forwarded-For must not become another line
            server_header=False,
            backlog=listening.BACKLOG,
            timeout_graceful_shutdown=max(1, round(parts.bounds.drain_s)),
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
        server = _Uvicorn(config)
        task = asyncio.create_task(server.serve(sockets), name="uvicorn")
        self._http.append((server, task))
        up = asyncio.create_task(server.up.wait())
        await asyncio.wait({up, task}, return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            await _cancelled(up)
            await task
        ensure(server.started, "a server that serves has started")

    # ---- meanwhile -----------------------------------------------------------------------------

    async def _tick(self, parts: Parts) -> None:
        """Let time act, and send what the gateway has to tell, until the end."""
        pause_s = max(TICK_S_MIN, parts.clock.wall_s(TICK_US))
        in_trouble = False
        while not await _over(self._ending, pause_s):
            parts.gateway.tick(parts.clock.now_us())
            try:
                await parts.outbox.send()
            except (StoreTroubleError, OverloadedError) as trouble:
                if not in_trouble:
                    self._log.error("not_counting", why=str(trouble), waiting=parts.outbox.waiting)
                in_trouble = True
            else:
                if in_trouble:
                    self._log.info("counting_again")
                in_trouble = False

    async def _keep(self, parts: Parts) -> None:
        """Look after the store: forget keys that are over, learn what other processes changed."""
        claim = self._claim
        pause_s = LEARN_EVERY_S if claim is None else FORGET_EVERY_S
        held = True
        while not await _over(self._ending, pause_s):
            with contextlib.suppress(StoreTroubleError):
                if claim is None:
                    await asyncio.to_thread(parts.store.ping)
                    continue
                still_held = await asyncio.to_thread(claim.keep)
                if held and not still_held:
                    self._log.error("claim_lost", why="another process serves these VPGs as well")
                held = still_held
                await asyncio.to_thread(parts.store.forget, parts.clock.now_us())

    async def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.set()
        await task

    @property
    def clock(self) -> RunningClock:
        """Service time; only of a started server."""
        if self._clock is None:
            msg = "the server is not started"
            raise LookupError(msg)
        return self._clock

    @property
    def line_count(self) -> int:
        """How many lines it knows."""
        return 0 if self._parts is None else sum(1 for _ in self._parts.gateway.lines)

    def url(self, name: str) -> str:
        """Return where ``name`` can be reached."""
        host, port = self.addresses[name]
        scheme = "http"
        if name == MQTT:
            scheme = "mqtt"
        elif name == API and self._plan.tls is not None:
            scheme = "https"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def view(self) -> View:
        """Return one look at the running service."""
        parts, writer = self._parts, self._writer
        if parts is None or writer is None:
            msg = "the server is not started"
            raise LookupError(msg)
        now_us = parts.clock.now_us()
        loop = asyncio.get_running_loop()
        if loop.time() >= self._money_due_s:
            self._money_due_s = loop.time() + MONEY_EVERY_S
            with contextlib.suppress(StoreTroubleError):
                self._money = await asyncio.to_thread(_owed, parts, now_us)
        vpgs = []
        for live in parts.gateway.vpgs:
            shot = parts.gateway.snapshot(live.id, parts.clock.now_us())
            hour, month = self._money.get(live.id, (None, None))
            vpgs.append(
                VpgView(
                    vpg_id=shot.vpg_id,
                    type=shot.type,
                    size=shot.size,
                    rate_per_s=shot.attempts_before,
                    rate_max_per_s=shot.rate_per_s,
                    lines=shot.sessions,
                    lines_max=shot.lines_max,
                    hour=hour,
                    month=month,
                )
            )
        return View(
            now_us=now_us,
            scale=self.clock.anchor.scale,
            vpgs=tuple(vpgs),
            events=writer.stats.events,
            commits=writer.stats.groups,
            waiting=writer.stats.waiting + parts.outbox.waiting,
            healthy=writer.healthy,
        )

    # ---- ending --------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Take nothing new, answer what is in flight, tell the last counts, commit, close."""
        parts = self._parts
        if parts is None:
            return
        self._log.info("draining")
        parts.draining = True
        for server, _ in self._http:
            server.should_exit = True
        ending = [task for _, task in self._http]
        if self._mqtt is not None:
            ending.append(asyncio.create_task(self._mqtt.stop()))
        results = await asyncio.gather(*ending, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                self._log.error("drain_failed", failure=repr(result))
        now_us = parts.clock.now_us()
        parts.gateway.flush(now_us)
        try:
            await parts.outbox.send()
        except (StoreTroubleError, OverloadedError) as trouble:
            self._log.error("counts_lost", events=parts.outbox.waiting, why=str(trouble))
        self._parts = None
        await self._ends.aclose()
        self._log.info("stopped")


class _Uvicorn(uvicorn.Server):
    """A server whose signals are somebody else's, like its words."""

    def __init__(self, config: uvicorn.Config) -> None:
        """Be ready to start."""
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and say so."""
        await super().startup(sockets=sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the application."""
        yield


def _copy_dropped(gateway: Gateway, vpg_id: str) -> None:
    """Count a copy that was not sent."""
    for live in gateway.vpgs:
        if live.id == vpg_id:
            live.seconds.dropped += 1


async def _over(event: asyncio.Event, seconds: float) -> bool:
    """Wait for ``event``, at most ``seconds``; return whether it came."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _owed(parts: Parts, now_us: int) -> dict[str, tuple[Amount, Amount]]:
    """Return what each VPG owes: of this hour, of this month."""
    names = [order.id for order in parts.store.vpgs()]
    return owed(charges_of(parts, names, month_start(now_us)), now_us)
