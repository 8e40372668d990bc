"""The service's API as the fleet uses it: lines, sessions, VPGs, hourly metrics, usage events.

Owns: paths, documents and pages of what is asked. Does not own: connections (``wire``) or when
something is asked. Times: service time in documents.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from loadtests.fleet.wire import Answer
from vpg.rating.hourly import NAMES, HourlyRow
from vpg.service.cloudevents import encoded_batch
from vpg.timebase import to_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtests.fleet.wire import Failure, Lane, Wire
    from vpg.rating.events import UsageEvent

PAGE: Final = 1_000
BATCH: Final = 100
JSON: Final = "application/json"
_BATCH_TYPE: Final = "application/cloudevents-batch+json"
_OK: Final = range(200, 300)


class ApiError(Exception):
    """The service did not answer as it promises; ``what`` says how, for people."""

    def __init__(self, what: str) -> None:
        """Keep ``what``."""
        self.what = what
        super().__init__(what)


def request(
    host: str, method: str, path: str, body: bytes = b"", *, extra: str = "", kind: str = JSON
) -> bytes:
    """Return one HTTP request; ``extra``: further header lines, each with its end."""
    typed = f"content-type: {kind}\r\n" if body and kind else ""
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n"
    return f"{head}{typed}{extra}\r\n".encode() + body


def _nothing() -> None:
    """Hear that a request left, and do nothing."""


class Api:
    """One service's API."""

    def __init__(self, wire: Wire, lane: Lane, token: str = "") -> None:
        """Ask over ``lane``; ``token``: what the service asks for, where it does."""
        self._wire = wire
        self._lane = lane
        self._host = f"{lane.host}:{lane.port}"
        self._extra = f"authorization: Bearer {token}\r\n" if token else ""

    def ask(
        self,
        method: str,
        path: str,
        done: Callable[[Answer | Failure], None],
        body: bytes = b"",
        kind: str = JSON,
    ) -> None:
        """Ask, and let ``done`` know."""
        data = request(self._host, method, path, body, extra=self._extra, kind=kind)
        self._wire.send(self._lane, data, _nothing, done)

    async def call(
        self, method: str, path: str, body: bytes = b"", kind: str = JSON
    ) -> Answer | Failure:
        """Ask, and wait for what becomes of it."""
        told: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()

        def done(what: Answer | Failure) -> None:
            if not told.done():
                told.set_result(what)

        self.ask(method, path, done, body, kind)
        return await told

    async def json(self, method: str, path: str, document: Any = None) -> tuple[Any, Answer]:  # noqa: ANN401 - JSON
        """Return the document that answers, and the answer; raises ``ApiError`` for any other."""
        body = b"" if document is None else json.dumps(document).encode()
        answer = await self.call(method, path, body)
        if not isinstance(answer, Answer):
            raise ApiError(f"{method} {path}: {answer}")
        if answer.status not in _OK:
            raise ApiError(f"{method} {path}: {answer.status} {answer.body[:200].decode()}")
        try:
            return (json.loads(answer.body) if answer.body else None), answer
        except ValueError as error:
            raise ApiError(f"{method} {path}: {error}") from error

    async def _pages(self, path: str) -> list[Any]:
        """Return every row of a list, page by page."""
        found: list[Any] = []
        key = ""
        while True:
            join = "&" if "?" in path else "?"
            asked = f"{path}{join}limit={PAGE}&last_evaluated_key={quote(key)}"
            rows, answer = await self.json("GET", asked)
            if not isinstance(rows, list):
                raise ApiError(f"GET {path}: not a list")
            found += rows
            key = answer.headers.get(b"x-soracom-next-key", b"").decode()
            if not key:
                return found

    async def lines(self) -> list[dict[str, Any]]:
        """Return every line, in the order of registration."""
        return await self._pages("/v1/lines")

    async def hourly(self, from_us: int, until_us: int) -> tuple[HourlyRow, ...]:
        """Return the rows of [``from_us``, ``until_us``)."""
        begin, end = (quote(to_utc(at_us).isoformat()) for at_us in (from_us, until_us))
        rows = await self._pages(f"/v1/hourly?from={begin}&until={end}")
        try:
            return tuple(HourlyRow(**{name: row[name] for name in NAMES}) for row in rows)
        except (KeyError, TypeError) as error:
            raise ApiError(f"GET /v1/hourly: {error!r}") from error

    async def count(self, events: Sequence[UsageEvent]) -> None:
        """Have ``events`` counted; what got no answer is sent again, which is harmless."""
        for begin in range(0, len(events), BATCH):
            body = encoded_batch(events[begin : begin + BATCH])
            for _ in range(10):
                answer = await self.call("POST", "/v1/usage-events", body, _BATCH_TYPE)
                if isinstance(answer, Answer) and answer.status != 503:  # noqa: PLR2004 - busy
                    break
                await asyncio.sleep(0.2)
            if not isinstance(answer, Answer) or answer.status != 200:  # noqa: PLR2004 - all counted
                raise ApiError(f"POST /v1/usage-events: {answer}")
