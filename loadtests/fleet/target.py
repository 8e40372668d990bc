"""The service that a fleet is let loose on: where it is, whether it is the right one, its clock.

Owns: these checks, and the service's clock as measured. Does not own: whether a target may be
loaded and counts at all (``loadtests.target``), or the run. Times: ``SimUs`` of service time;
pauses are seconds of this machine.
"""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from loadtests.fleet.clock import ServiceClock
from loadtests.fleet.link import LineName
from loadtests.target import US_PER_MS, is_loopback
from loadtests.target import Target as Service
from vpg.errors import InputError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.fleet.api import Api
    from scenarios.model import Scenario

PORTS: Final = {"api": 8090, "beam": 8888, "funnel": 8081, "funk": 8082, "mqtt": 1883}
"""Where ``vpg serve`` listens unless told otherwise."""
SCALE_MAX: Final = 10_000
SPARE_DESCRIPTORS: Final = 200
_PROBES: Final = 7
_APART_S: Final = 0.3
_SCALE_PERCENT: Final = 10
"""How far the measured rate may be from a whole number of times."""


class StoppedEarlyError(Exception):
    """A signal came before there was anything to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a service listens."""

    addresses: dict[str, tuple[str, int]]
    """``api`` and each entry point → host and port."""
    token: str = ""

    @property
    def url(self) -> str:
        """Where its API is."""
        host, port = self.addresses["api"]
        return f"http://{host}:{port}"

    @property
    def is_loopback(self) -> bool:
        """Whether all of it is this machine."""
        return all(is_loopback(host) for host, _ in self.addresses.values())


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
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(name, 0)
        except ValueError:
            parts, port = urlsplit(""), 0
        right = parts.scheme in {"http", "mqtt"} and parts.hostname and parts.path in {"", "/"}
        if name not in PORTS or not right or not port:
            values = {"value": value, "known": ", ".join(PORTS)}
            raise UsageError(Problem(code="VPG1920", values=values))
        found[name] = (str(parts.hostname), port)
    host, _ = found.setdefault("api", ("127.0.0.1", PORTS["api"]))
    return Target(
        addresses={name: found.get(name, (host, port)) for name, port in PORTS.items()},
        token=token,
    )


def check(target: Target, *, owned: bool, at_rest: bool) -> None:
    """Refuse a target that may not be loaded, is none, or is loaded already.

    Raises ``UsageError`` (VPG1901), ``InputError`` (VPG1903, VPG1904, VPG1906) or
    ``CannotTellError`` (VPG1905).
    """
    if not owned and not target.is_loopback:
        raise UsageError(Problem(code="VPG1901", values={"url": target.url}))
    with Service(target.url, target.token) as service:
        service.check()
        if at_rest:
            service.check_at_rest()


def need_descriptors(connections: int) -> None:
    """Raise ``InputError`` (VPG1907) where the system grants too few file descriptors."""
    needed = connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            values = {"needed": needed, "most": hard}
            raise InputError([Problem(code="VPG1907", values=values)])
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _wrong(code: str, **values: Any) -> InputError:  # noqa: ANN401 - what the text wants
    return InputError([Problem(code=code, values=values)])


async def names(api: Api, scenario: Scenario) -> dict[tuple[str, int], LineName]:
    """Return how the service knows each line of ``scenario``; raises ``InputError`` (VPG1921)."""
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
            code="VPG1921",
            values={"fleet": fleet.name, "lines": fleet.lines, "found": counts.get(fleet.name, 0)},
        )
        for fleet in scenario.fleets
        if counts.get(fleet.name, 0) != fleet.lines
    ]
    if missing:
        raise InputError(missing)
    return found


async def clock_of(api: Api, speed: int | None) -> ServiceClock:
    """Return the service's clock; raises ``InputError`` (VPG1922) where it is not ``speed``."""
    first = await _probe(api)
    await asyncio.sleep(_APART_S)
    second = await _probe(api)
    measured = (second[0] - first[0]) * 1_000 / (second[1] - first[1])
    scale = speed or max(1, min(SCALE_MAX, round(measured)))
    if abs(measured - scale) * 100 > scale * _SCALE_PERCENT:
        raise _wrong("VPG1922", measured=f"{measured:.2f}", scale=scale)
    return ServiceClock(service_us=second[0], at_ns=second[1], scale=scale)


async def _probe(api: Api) -> tuple[int, int]:
    """Return service time (µs) and this machine's (ns) of one instant: of the quickest answer."""
    best = (1 << 62, 0, 0)
    for _ in range(_PROBES):
        asked_ns = time.monotonic_ns()
        document, _answer = await api.json("GET", "/v1/vpgs")
        heard_ns = time.monotonic_ns()
        if not document:
            raise _wrong("VPG1923")
        told_us = max(one["sessionStats"]["lastUpdatedAt"] for one in document) * US_PER_MS
        # The API tells whole milliseconds, rounded down.
        took = heard_ns - asked_ns, told_us + US_PER_MS // 2, (asked_ns + heard_ns) // 2
        best = min(best, took)
    return best[1], best[2]
