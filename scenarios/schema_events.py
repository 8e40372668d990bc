"""How a scenario file writes what happens during the run; meaning: ``scenarios.model``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from scenarios.schema_base import (
    Change,
    Connections,
    Count,
    Index,
    Label,
    Lines,
    Milliseconds,
    Moment,
    Part,
    Seconds,
    Share,
    Text,
)
from scenarios.schema_fleets import RampPart, Status
from scenarios.schema_traffic import Service

FleetNames = Annotated[tuple[Label, ...], Field(min_length=1)]
Services = Annotated[tuple[Service, ...], Field(min_length=1)]


class EventPart(Part):
    """What every event has."""

    at: Moment
    """When: a time with its zone, or an offset from the start such as ``+02:30:00``."""


class LastingPart(EventPart):
    """An event with an end: exactly one of ``until`` and ``for_s``."""

    until: Moment | None = None
    """End: a time with its zone, or an offset from the start."""
    for_s: Seconds | None = None
    """Length in seconds."""


class CarrierOutagePart(LastingPart):
    """The radio network of the lines is gone, then released."""

    kind: Literal["carrier_outage"]
    """Carrier outage."""
    fleets: FleetNames | None = None
    """Fleets it hits; all when left out."""
    share_percent: Share = Decimal(100)
    """Lines of them that it hits."""
    sessions: Literal["cut", "ghost"] = "cut"
    """Sessions end at once, or stay behind as ghosts."""
    release: RampPart = RampPart()
    """How the lines come back."""


class PowerCutPart(LastingPart):
    """Devices lose power; their sessions stay behind as ghosts."""

    kind: Literal["power_cut"]
    """Power cut."""
    fleets: FleetNames | None = None
    """Fleets it hits; all when left out."""
    share_percent: Share = Decimal(100)
    """Lines of them that it hits."""
    release: RampPart = RampPart()
    """How the devices come back."""


class ForcedCutPart(EventPart):
    """The platform cuts sessions; devices do not know until they notice."""

    kind: Literal["forced_cut"]
    """Forced cut of sessions (terms of service; assumption A-28)."""
    fleets: FleetNames | None = None
    """Fleets it hits; all when left out."""
    share_percent: Share = Decimal(100)
    """Lines of them that it hits."""


class AttachLinesPart(EventPart):
    """Lines without a session begin to attach (for attach on_event)."""

    kind: Literal["attach_lines"]
    """Lines attach."""
    fleets: FleetNames | None = None
    """Fleets that attach; all when left out."""
    share_percent: Share = Decimal(100)
    """Lines of them that attach."""
    ramp: RampPart = RampPart()
    """How they spread it."""


class RecreatePart(EventPart):
    """The VPG is created anew with another type or size (assumption A-13)."""

    kind: Literal["recreate"]
    """New type or size."""
    vpg: Label
    """The VPG."""
    type: Literal["C", "D", "E", "F", "F2", "G"] | None = None
    """New type; as before when left out."""
    size: Literal["small", "medium", "large"] | None = None
    """New size; as before when left out."""


class FeaturePart(EventPart):
    """A function of the VPG goes on or off."""

    kind: Literal["feature"]
    """Function on or off."""
    vpg: Label
    """The VPG."""
    feature: Literal["mirroring", "redirection", "inspection", "fixed_ip"]
    """The function."""
    on: bool | None = None
    """On or off (mirroring, redirection, inspection)."""
    sets: Connections | None = None
    """New number of sets (fixed_ip)."""


class ConnectionPart(EventPart):
    """Private connections are added or removed."""

    kind: Literal["connection"]
    """Connections added or removed."""
    vpg: Label
    """The VPG."""
    connection: Literal["peering", "vif", "vpn"]
    """Kind of connection."""
    change: Change
    """How many more (or fewer, below zero)."""


class UpstreamFaultPart(LastingPart):
    """What lies behind the VPG is down or slow."""

    kind: Literal["upstream_fault"]
    """Upstream fault."""
    vpg: Label
    """The VPG."""
    services: Services = ("beam", "funnel", "funk")
    """Entry points that suffer."""
    mode: Literal["down", "slow"] = "down"
    """Down, or slower."""
    delay_ms: Milliseconds | None = None
    """With mode slow: how much slower."""


class MirrorPeerFaultPart(LastingPart):
    """A mirroring peer receives nothing."""

    kind: Literal["mirror_peer_fault"]
    """Mirroring peer down."""
    vpg: Label
    """The VPG."""
    ip: Text
    """Address of the peer."""


class RedirectionFaultPart(LastingPart):
    """The customer's redirection server is down."""

    kind: Literal["redirection_fault"]
    """Redirection server down."""
    vpg: Label
    """The VPG."""


class LineChangePart(EventPart):
    """Lines of a fleet change their status."""

    kind: Literal["line_change"]
    """Suspend, resume, terminate …"""
    fleet: Label
    """The fleet."""
    first_line: Index = 0
    """First line, counted from 0."""
    lines: Lines | None = None
    """How many; to the end of the fleet when left out."""
    status: Status
    """New status."""


class GrowthPart(EventPart):
    """More lines join a fleet."""

    kind: Literal["growth"]
    """Growth."""
    fleet: Label
    """The fleet."""
    lines: Lines
    """How many more lines, each time."""
    repeat: Literal["monthly"] | None = None
    """Again each rating month, at the same time after its begin."""
    count: Count | None = None
    """With repeat: how many times in all."""


EventValue = Annotated[
    CarrierOutagePart
    | PowerCutPart
    | ForcedCutPart
    | AttachLinesPart
    | RecreatePart
    | FeaturePart
    | ConnectionPart
    | UpstreamFaultPart
    | MirrorPeerFaultPart
    | RedirectionFaultPart
    | LineChangePart
    | GrowthPart,
    Field(discriminator="kind"),
]
"""One event, told apart by ``kind``."""
