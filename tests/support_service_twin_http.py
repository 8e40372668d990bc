"""The twin's transport over HTTP: every act of a device or administrator is a request to the apps.

Requests go to the ASGI applications without a socket, in simulated time: the service's clock is set
to it before each. What waits on this machine's time (an upstream that is slow, the limiter's queue)
has no place here, as nobody could wait for simulated time inside a request. No test lives here.
"""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from scenarios.model import MILLION
from tests.support_service_transport import Transport
from vpg.cli import serving_values
from vpg.rating.hourly import HourlyRow
from vpg.service.check import Checker
from vpg.service.clock import SetClock
from vpg.service.cloudevents import encoded
from vpg.service.gateway.answers import AttachAnswer, Verdict
from vpg.service.http.apps import HTTP_ENTRIES, api_app, entry_app
from vpg.service.http.bounds import Traffic
from vpg.service.http.cycle import CUT
from vpg.service.log import Log
from vpg.service.outbox import Outbox
from vpg.service.parts import Parts
from vpg.service.values import Bounds
from vpg.service.writer import Writer
from vpg.timebase import SECOND_US, to_utc

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from scenarios.model import Scenario
    from sim.plane.message import Message
    from vpg.catalogue.model import Catalogue
    from vpg.rating.events import ServiceName
    from vpg.service.store.base import Store
    from vpg.service.values import LineEntry

PORTS = {name: port for port, name in enumerate(HTTP_ENTRIES, start=1)}
_DECISIONS = {
    "line_cap": "refused",
    "setup_rate": "rejected",
    "inactive": "rejected",
    "suspended": "rejected_for_good",
    "terminated": "rejected_for_good",
}


class SimulatedClock(SetClock):
    """Simulated time; its seconds are as long as this machine's, for ``Retry-After``."""

    def wall_s(self, duration_us: int) -> float:
        return duration_us / SECOND_US


class _NoPeer:
    """Stands for the sender of copies: what is sent is counted before."""

    def send(self, crossing: object, copies: object) -> None:
        """Let them go nowhere."""


class _Told:
    """One answer."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.cut = False

    async def take(self, message: Any) -> None:
        if message["type"] == CUT:
            self.cut = True
        elif message["type"] == "http.response.start":
            self.status = message["status"]
            pairs = message.get("headers", ())
            self.headers = {name.decode(): value.decode() for name, value in pairs}
        else:
            self.body += message.get("body", b"")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HttpTransport(Transport):
    """Carries what devices and administrators do over the service's own HTTP applications."""

    def __init__(self, scenario: Scenario, catalogue: Catalogue, store: Store) -> None:
        """Put a service together around the twin's core."""
        super().__init__(scenario, catalogue, store, registered=False)
        self._start_us = scenario.start_us
        self._service_clock = SimulatedClock(scenario.start_us)
        self._loop = asyncio.new_event_loop()
        self._writer = Writer(store=store, clock=self._service_clock)
        rules = serving_values.rules(scenario, implicit_attach=False, any_line=False)
        log = Log(io.StringIO())
        bounds = Bounds()
        self._parts = Parts(
            gateway=self.core,
            counter=self._writer,
            outbox=Outbox(self.core.outbox, self._writer, log),
            checker=Checker(store=store, rules=rules),
            store=store,
            clock=self._service_clock,
            catalogue=catalogue,
            billing=serving_values.billing_rules(scenario),
            rules=rules,
            bounds=bounds,
            traffic=Traffic(bounds),
            log=log,
            upstreams={},
            junction=cast("Any", _NoPeer()),
            entries={port: name for name, port in PORTS.items()},
        )
        self._api, self._entry = api_app(self._parts), entry_app(self._parts)
        self._run(self._begin())

    async def _begin(self) -> None:
        self._writer.start()

    def _run(self, work: Awaitable[Any]) -> Any:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        """End the writer and its loop."""
        self._run(self._writer.stop())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    # ---- one request ---------------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *headers: tuple[str, str],
        port: int = 0,
    ) -> _Told:
        self._service_clock.set(self.now_us)
        told = _Told()
        bare, _, query = path.partition("?")
        given = [("content-length", str(len(body))), *headers]
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": bare,
            "raw_path": bare.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", port),
        }
        pieces = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return pieces.pop(0) if pieces else {"type": "http.disconnect"}

        app = self._entry if port else self._api
        self._run(app(scope, cast("Any", receive), cast("Any", told.take)))
        return told

    def _tell(self, method: str, path: str, status: int, body: Any = None) -> Any:
        """Send JSON and return the JSON that comes with the expected ``status``."""
        raw = b"" if body is None else json.dumps(body).encode()
        told = self._ask(method, path, raw, ("content-type", "application/json"))
        assert told.status == status, (method, path, body, told.status, told.body)
        return told.json if told.body else None

    # ---- administrators ------------------------------------------------------------------------

    def create_vpg(self, vpg_id: str) -> None:
        order = self._orders[vpg_id]
        state = order.state
        assert order.contract_fee
        body = {
            "vpgId": vpg_id,
            "operatorId": order.operator_id,
            "type": state.type,
            "size": state.size,
            "peeringConnections": state.peering,
            "vpnConnections": state.vpn,
            "inspection": state.inspection,
        }
        self._tell("POST", "/v1/vpgs", 201, body)

    def end_vpg(self, vpg_id: str) -> None:
        self._tell("POST", f"/v1/vpgs/{vpg_id}/terminate", 200)

    def resize(self, vpg_id: str, vpg_type: str, size: str) -> None:
        self._tell("PATCH", f"/v1/vpgs/{vpg_id}", 200, {"type": vpg_type, "size": size})

    def switch(self, vpg_id: str, feature: str, value: int) -> None:
        body = {"fixedIpSets": value} if feature == "fixed_ip" else {feature: bool(value)}
        self._tell("PATCH", f"/v1/vpgs/{vpg_id}", 200, body)

    def connections(self, vpg_id: str, kind: str, change: int) -> None:
        names = {"peering": "peeringConnections", "vpn": "vpnConnections"}
        before = self._tell("GET", f"/v1/vpgs/{vpg_id}", 200)[names[kind]]
        self._tell("PATCH", f"/v1/vpgs/{vpg_id}", 200, {names[kind]: before + change})

    def register(self, entry: LineEntry) -> None:
        assert not entry.keeps_alive
        body = {
            "simId": entry.sim_id,
            "imsi": entry.imsi,
            "operatorId": entry.operator_id,
            "vpgId": entry.vpg_id,
            "groupId": entry.group_id,
            "status": entry.status,
        }
        self._tell("POST", "/v1/lines", 201, body)

    def set_status(self, sim_id: str, status: Any) -> None:
        self._come(sim_id)
        self._tell("PATCH", f"/v1/lines/{sim_id}", 200, {"status": status})

    # ---- devices -------------------------------------------------------------------------------

    def attach(self, sim_id: str) -> AttachAnswer:
        self._come(sim_id)
        told = self._ask("POST", f"/v1/lines/{sim_id}/session")
        if told.status == 201:
            return AttachAnswer(decision="created")
        assert told.status == 403, told.body
        return AttachAnswer(decision=cast("Any", _DECISIONS[told.json["code"]]))

    def _end(self, sim_id: str, how: str) -> None:
        self._come(sim_id)
        self._tell("DELETE", f"/v1/lines/{sim_id}/session{how}", 200)

    def detach(self, sim_id: str) -> None:
        self._end(sim_id, "")

    def lost(self, sim_id: str) -> None:
        self._end(sim_id, "?lost=true")

    def cut(self, sim_id: str) -> None:
        self._end(sim_id, "?cut=true")

    def request(self, sim_id: str, service: str) -> Verdict:
        self._come(sim_id)
        message: Message = self.chance.message
        headers = [("x-vpg-line", sim_id)]
        if service == "beam":
            headers.append(("x-vpg-answer-bytes", str(message.bytes_down)))
        else:
            assert message.bytes_down == 0
        told = self._ask("POST", "/", bytes(message.bytes_up), *headers, port=PORTS[service])
        if told.cut:
            return Verdict(outcome="throttled", reason="reset")
        if told.status in {200, 204}:
            return Verdict(outcome="admitted")
        if told.status == 429:
            wait_us = int(told.headers["retry-after"]) * MILLION
            return Verdict(outcome="throttled", reason="rate", retry_after_us=wait_us)
        if told.status == 503:
            assert told.json["code"] == "upstream_failed"
            return Verdict(outcome="admitted", fails=True)
        assert told.status == 403, (told.status, told.body)
        return Verdict(outcome="no_session", reason="no_session")

    def finish(self, sim_id: str, service: ServiceName, verdict: Verdict, message: Message) -> None:
        """Nothing: what was answered is counted."""

    def mirrored(
        self, sim_id: str, message: Message, answer_bytes: int | None, *, throttled: bool
    ) -> None:
        """Nothing: the service copies by itself."""

    # ---- what is counted -----------------------------------------------------------------------

    def evicted(self, sim_id: str) -> tuple[str, bool] | None:  # noqa: ARG002 - as overridden
        """Return nobody: HTTP does not tell, and these scenarios do not evict."""
        return None

    def count(self) -> None:
        """Let the ticker send, and the devices tell what became of their messages."""
        self._service_clock.set(self.now_us)
        self._run(self._parts.outbox.send())
        for one in self._waiting:
            told = self._ask(
                "POST",
                "/v1/usage-events",
                encoded(one),
                ("content-type", "application/cloudevents+json"),
            )
            assert told.status == 204, told.body
        self._waiting.clear()
        self.counted = self._writer.stats.events

    def rows(self, until_us: int) -> tuple[HourlyRow, ...]:
        """Return the hourly table as the API gives it, page by page."""
        begin, end = (quote(to_utc(at_us).isoformat()) for at_us in (self._start_us, until_us))
        found: list[HourlyRow] = []
        key = ""
        while True:
            path = f"/v1/hourly?from={begin}&until={end}&limit=2&last_evaluated_key={key}"
            told = self._ask("GET", path)
            assert told.status == 200, told.body
            found += [HourlyRow(**row) for row in told.json]
            key = quote(told.headers.get("x-soracom-next-key", ""))
            if not key:
                return tuple(found)
