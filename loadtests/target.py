"""The service that a load is meant for: is it ours, is it at rest, what has it counted.

Owns: the questions to its API and what is wrong with a target, in our numbers. Does not own: what
the figures must be (``reconcile``) or any load. Synchronous: nothing is sent while it asks.
"""

from __future__ import annotations

import datetime as dt
import http.client
import ipaddress
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self
from urllib.parse import urlencode, urlsplit

from loadtests.plan import LoadLine
from vpg.errors import EnsureError, ExitCode, InputError, Problem, UsageError, VpgError
from vpg.rating.charges import ChargeRow
from vpg.rating.hourly import NAMES, HourlyRow
from vpg.timebase import from_datetime, iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE: Final = 1_000
_TIMEOUT_S: Final = 10.0
_REST_S: Final = 0.6
_REST_EVENTS: Final = 2
"""Events that a service at rest may count by itself in the look before a load."""
_METRIC: Final = re.compile(r"^(?P<name>\w+) (?P<value>[0-9.eE+-]+)$", re.MULTILINE)
_COUNTERS: Final = (
    "vpg_writer_events_total",
    "vpg_writer_commits_total",
    "vpg_writer_conflicts_total",
    "vpg_writer_troubles_total",
    "vpg_writer_overloads_total",
    "vpg_http_refused_total",
)
_WAITING: Final = ("vpg_writer_waiting", "vpg_outbox_waiting")
_UNAUTHORIZED, _OK = 401, 200
US_PER_MS: Final = 1_000


class CannotTellError(VpgError):
    """What was measured, or would be, says nothing: exit 5."""

    exit_code = ExitCode.CANNOT_TELL

    def __init__(self, problem: Problem) -> None:
        """Keep ``problem``."""
        self.problem = problem
        super().__init__(f"{problem.code} {problem.values}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the service says of its writer, at one instant."""

    values: dict[str, int]
    waiting: int

    @property
    def events(self) -> int:
        """Usage events that it committed since its start."""
        return self.values["vpg_writer_events_total"]


def host_and_port(url: str, *, example: str = "http://127.0.0.1:8090") -> tuple[str, int]:
    """Return where ``url`` leads; raises ``UsageError`` (VPG1902)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    right = parts.scheme == "http" and parts.hostname and parts.path in {"", "/"}
    if not right or parts.query or port is None:
        raise UsageError(Problem(code="VPG1902", values={"value": url, "example": example}))
    return str(parts.hostname), port


def is_loopback(host: str) -> bool:
    """Return whether ``host`` names this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Target:
    """A service's API, asked over one connection; use as a context manager."""

    def __init__(self, url: str, token: str = "") -> None:
        """Ask the API at ``url``; raises ``UsageError`` (VPG1902) where that is none."""
        self.url = url
        self.host, self.port = host_and_port(url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    # ---- asking ----------------------------------------------------------------------------------

    def ask(
        self, path: str, *, body: bytes | None = None, kind: str = ""
    ) -> tuple[int, bytes, str]:
        """Return status, body and next page's key; raises ``OSError`` or ``HTTPException``."""
        headers = {**self._headers, **({"Content-Type": kind} if kind else {})}
        method = "GET" if body is None else "POST"
        for last in (False, True):
            # Kept from before, the connection may be one that the service closed: all that is
            # asked here may be asked twice.
            try:
                self._connection.request(method, path, body, headers)
                answer = self._connection.getresponse()
                return answer.status, answer.read(), answer.getheader("x-soracom-next-key") or ""
            except (OSError, http.client.HTTPException):
                self._connection.close()
                if last:
                    raise
        raise EnsureError("the second try returns or raises")

    def _asked(self, path: str) -> tuple[bytes, str]:
        try:
            status, body, key = self.ask(path)
        except (OSError, http.client.HTTPException) as failure:
            self._refuse("VPG1903", str(failure) or type(failure).__name__)
        if status == _UNAUTHORIZED:
            self._refuse("VPG1906", "401")
        if status != _OK:
            self._refuse("VPG1904", f"GET {path.partition('?')[0]}: HTTP {status}")
        return body, key

    def _refuse(self, code: str, reason: str) -> NoReturn:
        values = {"url": self.url, "reason": reason}
        raise InputError([Problem(code=code, values=values)])

    def json(self, path: str) -> Any:  # noqa: ANN401 - whatever the API says
        """Return the JSON at ``path``; raises ``InputError`` (VPG1903, VPG1904, VPG1906)."""
        body, _ = self._asked(path)
        return self._read(path, body)

    def _read(self, path: str, body: bytes) -> Any:  # noqa: ANN401
        try:
            return json.loads(body)
        except ValueError:
            self._refuse("VPG1904", f"GET {path.partition('?')[0]}: not JSON")

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """Yield every item of the table at ``path``, page by page."""
        key = ""
        while True:
            words = {"limit": str(_PAGE), **query, **({"last_evaluated_key": key} if key else {})}
            body, key = self._asked(f"{path}?{urlencode(words)}")
            yield from self._read(path, body)
            if not key:
                return

    # ---- what it is ------------------------------------------------------------------------------

    def check(self) -> None:
        """Refuse what is none of our services, or not able to count."""
        health = self.json("/readyz")
        if not isinstance(health, dict) or health.get("status") != "ok":
            self._refuse("VPG1904", "GET /readyz")
        document = self.json("/openapi.json")
        paths = document.get("paths", {}) if isinstance(document, dict) else {}
        if "/v1/usage-events" not in paths:
            self._refuse("VPG1904", "GET /openapi.json")

    def check_at_rest(self) -> None:
        """Refuse a service that counts events before the load begins (VPG1905)."""
        before = self.counters().events
        time.sleep(_REST_S)
        grown = self.counters().events - before
        if grown > _REST_EVENTS:
            values = {"url": self.url, "events": grown, "seconds": _REST_S}
            raise CannotTellError(Problem(code="VPG1905", values=values))

    def vpgs(self) -> list[dict[str, Any]]:
        """Return the VPGs that exist, as the API tells them."""
        found = self.json("/v1/vpgs")
        if not isinstance(found, list) or not all("sessionStats" in one for one in found):
            self._refuse("VPG1904", "GET /v1/vpgs")
        return found

    def now_us(self) -> int:
        """Return service time, to the ms."""
        found = self.vpgs()
        if not found:
            self._refuse("VPG1910", "no VPG")
        return int(found[0]["sessionStats"]["lastUpdatedAt"]) * US_PER_MS

    def lines(self, most: int, *, also_inactive: bool = False) -> tuple[LoadLine, ...]:
        """Return the first ``most`` active lines; raises ``InputError`` (VPG1910) for none."""
        found: list[LoadLine] = []
        for one in self.pages("/v1/lines"):
            if also_inactive or one["status"] == "active":
                found.append(
                    LoadLine(
                        sim_id=one["simId"],
                        vpg_id=one["vpgId"],
                        operator_id=one["operatorId"],
                        group_id=one["groupId"],
                    )
                )
            if len(found) >= most:
                break
        if not found:
            self._refuse("VPG1910", "no active line")
        return tuple(found)

    # ---- what it counted -------------------------------------------------------------------------

    def counters(self) -> Counters:
        """Return its writer's counters."""
        body, _ = self._asked("/metrics")
        said = {found["name"]: float(found["value"]) for found in _METRIC.finditer(body.decode())}
        if not all(name in said for name in (*_COUNTERS, *_WAITING)):
            self._refuse("VPG1904", "GET /metrics")
        return Counters(
            values={name: int(said[name]) for name in _COUNTERS},
            waiting=sum(int(said[name]) for name in _WAITING),
        )

    def hourly(self, from_us: int, until_us: int) -> list[HourlyRow]:
        """Return the hourly metrics of [from, until)."""
        query = {"from": iso_utc(from_us), "until": iso_utc(until_us)}
        rows = self.pages("/v1/hourly", **query)
        return [HourlyRow(**{name: row[name] for name in NAMES}) for row in rows]

    def charges(self, month: str) -> list[ChargeRow]:
        """Return what each hour of ``month`` (yyyyMM) owes."""
        return [
            ChargeRow(
                vpg_id=row["vpgId"],
                hour_start_us=from_datetime(dt.datetime.fromisoformat(row["hourStart"])),
                bill_item=row["billItemName"],
                quantity=row["quantity"],
                unit_price_micro_yen=row["unitPriceMicroYen"],
                amount_micro_yen=row["amountMicroYen"],
            )
            for row in self.pages("/v1/charges", month=month)
        ]

    def bill(self, month: str, operator_id: str) -> dict[str, Any]:
        """Return the bill of ``month``, with its lines."""
        found = self.json(f"/v1/bills/{month}?{urlencode({'operator_id': operator_id})}")
        return dict(found)
