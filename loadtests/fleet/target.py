"""The service that a fleet is let loose on: is it ours to load, is it there, is it the right one?

Owns: these checks, and the service's clock as measured. Does not own: the run. Times: ``SimUs`` of
service time; pauses are seconds of this machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from loadtests.fleet.api import ApiError
from loadtests.fleet.clock import ServiceClock
from loadtests.fleet.link import LineName
from vpg.errors import InputError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.fleet.api import Api
    from scenarios.model import Scenario

ENTRIES: Final = ("beam", "funnel", "funk", "mqtt")
PORTS: Final = {"api": 8090, "beam": 8888, "funnel": 8081, "funk": 8082, "mqtt": 1883}
"""Where ``vpg serve`` listens unless told otherwise."""
SCALE_MAX: Final = 10_000
SPARE_DESCRIPTORS: Final = 128
_PROBES: Final = 7
_APART_S: Final = 0.3
_SCALE_PERCENT: Final = 10
"""How far the measured rate may be from a whole number of times."""
_US_PER_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a service listens."""

    addresses: dict[str, tuple[str, int]]
    """``api`` and each entry point → host and port."""
    token: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether all of it is this machine."""
        return all(_is_loopback(host) for host, _ in self.addresses.values())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def target_of(given: Iterable[str], token: str = "") -> Target:
    """Return what ``--target`` says: ``URL`` of the API, or ``NAME=URL``.

    Entry points that are not named are where ``vpg serve`` has them, on the API's host. Raises
    ``UsageError`` (VPG1920).
    """
    found: dict[str, tuple[str, int]] = {}
    for value in given:
        name, is_named, url = value.partition("=")
        if not is_named or "://" in name:
            name, url = "api", value
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        wrong = parts.scheme not in {"http", "mqtt"} or not parts.hostname or port == -1
        if name not in PORTS or wrong or parts.path not in {"", "/"}:
            raise UsageError(
                Problem(code="VPG1920", values={"value": value, "known": ", ".join(PORTS)})
            )
        found[name] = (str(parts.hostname), port or PORTS[name])
    if "api" not in found:
        raise UsageError(Problem(code="VPG1920", values={"value": "", "known": ", ".join(PORTS)}))
    host = found["api"][0]
    return Target(
        addresses={name: found.get(name, (host, port)) for name, port in PORTS.items()},
        token=token,
    )


def may_load(target: Target, *, owned: bool) -> None:
    """Raise ``UsageError`` (VPG1921) for another machine that nobody said is ours to load."""
    if not owned and not target.is_loopback:
        hosts = sorted({host for host, _ in target.addresses.values() if not _is_loopback(host)})
        raise UsageError(Problem(code="VPG1921", values={"host": ", ".join(hosts)}))


def need_descriptors(connections: int) -> None:
    """Raise ``InputError`` (VPG1926) where the system grants too few file descriptors."""
    needed = connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            values = {"needed": needed, "limit": hard, "connections": connections}
            raise InputError([Problem(code="VPG1926", values=values)])
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _wrong(code: str, **values: Any) -> InputError:  # noqa: ANN401 - what the text wants
    return InputError([Problem(code=code, values=values)])


async def answers(target: Target) -> None:
    """Raise ``InputError`` (VPG1922) unless something listens at the API's address."""
    host, port = target.addresses["api"]
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError, socket.gaierror) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        raise _wrong("VPG1922", host=host, port=port, reason=reason) from None
    writer.close()
    await writer.wait_closed()


async def ready(api: Api, target: Target) -> None:
    """Raise ``InputError`` (VPG1923) unless the service there is ours and counts events."""
    host, port = target.addresses["api"]
    try:
        document, _ = await api.json("GET", "/readyz")
    except ApiError as error:
        raise _wrong("VPG1923", host=host, port=port, reason=error.what) from None
    if not isinstance(document, dict) or document.get("status") != "ok":
        raise _wrong("VPG1923", host=host, port=port, reason=str(document)[:100])


async def names(api: Api, scenario: Scenario) -> dict[tuple[str, int], LineName]:
    """Return how the service knows each line of ``scenario``; raises ``InputError`` (VPG1924)."""
    found: dict[tuple[str, int], LineName] = {}
    counts: dict[str, int] = {}
    for one in await api.lines():
        fleet = str(one["groupId"])
        index = counts.get(fleet, 0)
        counts[fleet] = index + 1
        found[fleet, index] = LineName(
            sim_id=one["simId"], address=one["address"], operator_id=one["operatorId"]
        )
    missing = [
        Problem(
            code="VPG1924",
            values={"fleet": fleet.name, "lines": fleet.lines, "found": counts.get(fleet.name, 0)},
        )
        for fleet in scenario.fleets
        if counts.get(fleet.name, 0) != fleet.lines
    ]
    if missing:
        raise InputError(missing)
    return found


async def clock_of(api: Api, speed: int | None) -> ServiceClock:
    """Return the service's clock; raises ``InputError`` (VPG1925) where it is not ``speed``."""
    first = await _probe(api)
    await asyncio.sleep(_APART_S)
    second = await _probe(api)
    measured = (second[0] - first[0]) * 1_000 / (second[1] - first[1])
    scale = speed or max(1, min(SCALE_MAX, round(measured)))
    if abs(measured - scale) * 100 > scale * _SCALE_PERCENT:
        raise _wrong("VPG1925", measured=f"{measured:.2f}", scale=scale)
    return ServiceClock(service_us=second[0], at_ns=second[1], scale=scale)


async def _probe(api: Api) -> tuple[int, int]:
    """Return service time (µs) and this machine's (ns) of one instant: of the quickest answer."""
    best: tuple[int, int, int] | None = None
    for _ in range(_PROBES):
        asked_ns = time.monotonic_ns()
        document, _answer = await api.json("GET", "/v1/vpgs")
        heard_ns = time.monotonic_ns()
        if not document:
            raise _wrong("VPG1927")
        told_us = max(one["sessionStats"]["lastUpdatedAt"] for one in document) * _US_PER_MS
        # The API tells whole milliseconds, rounded down.
        took = heard_ns - asked_ns, told_us + _US_PER_MS // 2, (asked_ns + heard_ns) // 2
        best = took if best is None else min(best, took)
    if best is None:
        raise _wrong("VPG1927")
    return best[1], best[2]
