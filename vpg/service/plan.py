"""Everything one service process is told at its start, as one value.

Owns: the value, the names of the ports and their defaults. Does not own: where it comes from
(``vpg.cli.serving``) or what is done with it (``vpg.service.server``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vpg.service.http.auth import Tokens
from vpg.service.values import Bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from vpg.catalogue.model import Catalogue
    from vpg.service.values import BillingRules, LineEntry, Rules, VpgOrder

API: Final = "api"
MQTT: Final = "mqtt"
PORTS: Final[dict[str, int]] = {
    API: 8090,
    "beam": 8888,
    "funnel": 8081,
    "funk": 8082,
    "unified": 8083,
    MQTT: 1883,
}
"""What can be listened on, and where unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificate and private key of the API, PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to serve, where, and how it is kept."""

    orders: tuple[VpgOrder, ...]
    lines: Callable[[], Iterable[LineEntry]]
    """Yields them anew at each call: a scenario may have a million."""
    rules: Rules
    billing: BillingRules
    catalogue: Catalogue
    store: str
    """Path of a file (SQLite), or ``postgresql://…``."""
    host: str = "127.0.0.1"
    ports: Mapping[str, int] = field(default_factory=lambda: dict(PORTS))
    """Name → port for what is to listen; 0: a free one."""
    tokens: Tokens = field(default_factory=Tokens)
    """Without any nobody is asked for one."""
    tls: Tls | None = None
    start_us: int | None = None
    """Service time at the store's first start; None: this machine's."""
    seed: int = 0
    """Of the emulated failures and losses."""
    scale: int | None = None
    """How many times as fast as the wall service time runs; None: as the store has it, else 1."""
    bounds: Bounds = field(default_factory=Bounds)
    sync_delay_us: int = 0
    """Fault to study: added to every sync of the store."""
