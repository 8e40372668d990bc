"""What the transports of the service share: the gateway, the counter, the store, time, bounds.

Owns: the value. Does not own: any of the parts (``vpg.service.server`` puts them together).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpg.service.http.auth import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpg.catalogue.model import Catalogue
    from vpg.service.check import Checker
    from vpg.service.gateway.gateway import Gateway
    from vpg.service.http.bounds import Traffic
    from vpg.service.junction_sender import JunctionSender
    from vpg.service.log import Log
    from vpg.service.outbox import Outbox
    from vpg.service.ports import Clock
    from vpg.service.store.base import Store
    from vpg.service.upstream_link import UpstreamLink
    from vpg.service.values import BillingRules, Bounds, Rules
    from vpg.service.writer import Writer

UNIFIED_SERVICES = ("beam", "funnel", "funk")


@dataclass(slots=True, kw_only=True)
class Parts:
    """One running service, as its transports see it."""

    gateway: Gateway
    counter: Writer
    outbox: Outbox
    checker: Checker
    store: Store
    clock: Clock
    catalogue: Catalogue
    billing: BillingRules
    rules: Rules
    bounds: Bounds
    traffic: Traffic
    log: Log
    upstreams: Mapping[str, UpstreamLink]
    """By VPG."""
    tokens: Tokens = field(default_factory=Tokens)
    junction: JunctionSender | None = None
    """None: nothing is copied."""
    unified_services: tuple[str, ...] = UNIFIED_SERVICES
    """Where the Unified Endpoint delivers to."""
    entries: dict[int, str] = field(default_factory=dict)
    """Port → entry point, once they listen."""
    draining: bool = False
    """Ending: ``/readyz`` says so."""
