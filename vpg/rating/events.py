"""The usage event: one metered fact, as a CloudEvents 1.0 envelope around closed data.

Owns: the closed list of event types, what each may carry, and which columns of the hourly metrics
it means. Does not own: how events are counted (``vpg.rating.counting``) or kept
(``vpg.service.store``). Times: ``time`` is an aware instant on the wire, ``SimUs`` inside. All
figures are integers.

Names follow the provider's API (``operatorId``, ``vpgId``; ``subject`` is the line's ``simId``).
``message.v1`` is told by devices (a fleet, a load generator), all else by a gateway: a gateway sees
attempts, only the device knows which of them belong to one message.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from vpg.catalogue.items import ONE_OFF_ITEMS, vpg_kinds
from vpg.rating.hourly import SERVICES
from vpg.rating.ledger import BillingState
from vpg.timebase import to_utc

REQUEST: Final = "request.v1"
CREATED: Final = "session.created.v1"
DELETED: Final = "session.deleted.v1"
MODIFIED: Final = "session.modified.v1"
REFUSED: Final = "session.refused.v1"
MIRROR: Final = "mirror.v1"
CONFIG: Final = "config.v1"
MESSAGE: Final = "message.v1"
TYPES: Final = (REQUEST, CREATED, DELETED, MODIFIED, REFUSED, MIRROR, CONFIG, MESSAGE)

EventType = Literal[
    "request.v1",
    "session.created.v1",
    "session.deleted.v1",
    "session.modified.v1",
    "session.refused.v1",
    "mirror.v1",
    "config.v1",
    "message.v1",
]
ServiceName = Literal["beam", "funnel", "funk", "ip", ""]
RequestOutcome = Literal["accepted", "throttled", "no_session", "failed_upstream"]
RefusalOutcome = Literal["line_cap", "other"]
MessageOutcome = Literal[
    "offered", "delivered", "lost_tries", "lost_deadline", "lost_buffer", "lost_cancelled"
]
REQUEST_OUTCOMES: Final = ("accepted", "throttled", "no_session", "failed_upstream")
REFUSAL_OUTCOMES: Final = ("line_cap", "other")
MESSAGE_OUTCOMES: Final = (
    "offered",
    "delivered",
    "lost_tries",
    "lost_deadline",
    "lost_buffer",
    "lost_cancelled",
)
Outcome = Literal[
    "accepted",
    "throttled",
    "no_session",
    "failed_upstream",
    "line_cap",
    "other",
    "offered",
    "delivered",
    "lost_tries",
    "lost_deadline",
    "lost_buffer",
    "lost_cancelled",
    "",
]

COUNT_MAX: Final = 1_000_000_000
"""Most of anything in one event: a group of a million such events still stays within int64."""
INSPECTED_MAX: Final = 10_000
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Bytes = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Id = Annotated[str, Meta(min_length=1, max_length=128)]
Source = Annotated[str, Meta(min_length=1, max_length=256)]
Small = Annotated[int, Meta(ge=0, le=10_000)]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a VPG is from the event's time on (``config.v1``): the whole state, never a change."""

    exists: bool = True
    type: Literal["C", "D", "E", "F", "F2", "G"] = "C"
    size: Literal["small", "medium", "large", ""] = ""
    peering: Small = 0
    vif: Small = 0
    vpn: Small = 0
    mirroring: bool = False
    redirection: bool = False
    inspection: bool = False
    fixedIpSets: Small = 0  # noqa: N815 - the wire's name
    oneOff: Annotated[tuple[Name, ...], Meta(max_length=8)] = ()  # noqa: N815
    """One-off fees (bill items) that fall due with this change."""
    resized: bool = False
    """Type or size changed: a new row of the hour begins."""


class Data(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """The figures of one usage event; what a type does not use must be left out.

    ``request.v1``: ``service``, ``outcome``, ``requests``; ``bytesUp``/``bytesDown`` of all of them
    (accepted ones only), ``flagged``, ``delayUs`` (one request), ``ratePerS``, ``inspected``.
    ``session.*``: ``sessions``, ``ghosts`` (after the event), ``ghost``, ``flagged``,
    ``attachPerS``; ``session.refused.v1`` also ``outcome``, ``requests``. ``mirror.v1``:
    ``bytesMirrored``, ``mirrorDropped``. ``config.v1``: ``config``. ``message.v1``: ``outcome``,
    ``requests``.
    """

    operatorId: Name  # noqa: N815 - the wire's names, here and below
    vpgId: Name  # noqa: N815
    service: ServiceName = ""
    outcome: Outcome = ""
    requests: Count = 1
    """Attempts (or messages) that this event stands for; 0 where it only tells a peak."""
    bytesUp: Bytes = 0  # noqa: N815
    bytesDown: Bytes = 0  # noqa: N815
    flagged: Count = 0
    """Of the requests (or of the one session): admitted above the limit (A-02, A-03)."""
    delayUs: Annotated[int, Meta(ge=0, le=10**12)] | None = None  # noqa: N815
    ratePerS: Count = 0  # noqa: N815
    """Limited attempts that had reached the limiter in the UTC second of ``time``."""
    attachPerS: Count = 0  # noqa: N815
    """Attach attempts in the UTC second of ``time``."""
    sessions: Count = 0
    """Sessions of the VPG after this event, ghosts included."""
    ghosts: Count = 0
    ghost: bool = False
    """``session.modified.v1``: it became one. ``session.deleted.v1``: it was one."""
    bytesMirrored: Bytes = 0  # noqa: N815
    mirrorDropped: Count = 0  # noqa: N815
    inspected: Annotated[tuple[Name, ...], Meta(max_length=INSPECTED_MAX)] = ()
    """Lines (``simId``) that Junction inspection saw; a line counts once an hour."""
    config: Config | None = None


class UsageEvent(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One usage event; (``source``, ``id``) names it for ever."""

    specversion: Literal["1.0"] = "1.0"
    type: EventType
    source: Source
    id: Id
    time: Annotated[dt.datetime, Meta(tz=True)]
    subject: Annotated[str, Meta(max_length=64)] = ""
    """The line's ``simId``; empty where the event is about the VPG alone."""
    datacontenttype: Literal["application/json", ""] = "application/json"
    data: Data


def event(
    kind: EventType, *, source: str, event_id: str, at_us: int, subject: str = "", data: Data
) -> UsageEvent:
    """Return the event of ``kind`` at ``at_us`` (µs, UTC)."""
    return UsageEvent(
        type=kind, source=source, id=event_id, time=to_utc(at_us), subject=subject, data=data
    )


def state_of(config: Config) -> BillingState:
    """Return the billing state that ``config`` tells."""
    return BillingState(
        type=config.type,
        size=config.size,
        peering=config.peering,
        vif=config.vif,
        vpn=config.vpn,
        mirroring=config.mirroring,
        redirection=config.redirection,
        inspection=config.inspection,
        fixed_ip_sets=config.fixedIpSets,
    )


def config_of(state: BillingState, *, resized: bool, one_off: tuple[str, ...]) -> Config:
    """Return what ``config.v1`` says of a VPG that is ``state``."""
    return msgspec.convert(
        {
            "type": state.type,
            "size": state.size,
            "peering": state.peering,
            "vif": state.vif,
            "vpn": state.vpn,
            "mirroring": state.mirroring,
            "redirection": state.redirection,
            "inspection": state.inspection,
            "fixedIpSets": state.fixed_ip_sets,
            "oneOff": one_off,
            "resized": resized,
        },
        Config,
    )


_USED: dict[str, frozenset[str]] = {
    REQUEST: frozenset(
        {
            *("service", "outcome", "requests", "bytesUp", "bytesDown", "flagged", "delayUs"),
            *("ratePerS", "inspected"),
        }
    ),
    CREATED: frozenset({"requests", "sessions", "ghosts", "flagged", "attachPerS"}),
    DELETED: frozenset({"requests", "sessions", "ghosts", "ghost"}),
    MODIFIED: frozenset({"requests", "sessions", "ghosts", "ghost"}),
    REFUSED: frozenset({"outcome", "requests", "attachPerS"}),
    MIRROR: frozenset({"requests", "bytesMirrored", "mirrorDropped"}),
    CONFIG: frozenset({"requests", "config"}),
    MESSAGE: frozenset({"outcome", "requests"}),
}
_OUTCOMES: dict[str, tuple[str, ...]] = {
    REQUEST: REQUEST_OUTCOMES,
    REFUSED: REFUSAL_OUTCOMES,
    MESSAGE: MESSAGE_OUTCOMES,
}
_VPG_KINDS: Final = frozenset(vpg_kinds())
_ONE_LINE: Final = frozenset({CREATED, DELETED, MODIFIED})
_DEFAULTS: dict[str, Any] = {
    field.name: field.default for field in msgspec.structs.fields(Data) if not field.required
}


def contradiction(one: UsageEvent) -> str:
    """Return what in ``one`` contradicts its type, in words for whoever sent it; empty: nothing."""
    data = one.data
    if one.type == REQUEST and data.service and data.outcome in REQUEST_OUTCOMES:
        # What nearly every event is; looking at everything costs ten times as much.
        plain = not (data.sessions or data.ghosts or data.ghost or data.attachPerS)
        plain = plain and not (data.bytesMirrored or data.mirrorDropped or data.config)
        if plain and (data.outcome == "accepted" or not (data.bytesUp or data.bytesDown)):
            return _too_many(data)
    return _wrong_words(one) or _wrong_figures(one) or _too_many(data)


def _wrong_words(one: UsageEvent) -> str:
    data, kind = one.data, one.type
    allowed = _OUTCOMES.get(kind)
    if allowed is not None and data.outcome not in allowed:
        return f"data.outcome of {kind} must be one of {', '.join(allowed)}"
    if kind == REQUEST and data.service not in SERVICES:
        return f"data.service of {kind} must be one of {', '.join(SERVICES)}"
    if kind in _ONE_LINE and not one.subject:
        return f"subject of {kind} must name the line (simId)"
    return ""


def _wrong_figures(one: UsageEvent) -> str:
    data, kind = one.data, one.type
    if kind == REQUEST and data.outcome != "accepted" and (data.bytesUp or data.bytesDown):
        return "data.bytesUp and data.bytesDown belong to accepted requests only"
    for name, default in _DEFAULTS.items():
        if name not in _USED[kind] and getattr(data, name) != default:
            return f"data.{name} means nothing in {kind}; leave it out"
    if kind in _ONE_LINE and data.requests != 1:
        return f"data.requests of {kind} must be 1"
    return _wrong_config(data.config) if kind == CONFIG else ""


def _wrong_config(config: Config | None) -> str:
    """Return what no bill could be made of."""
    if config is None:
        return f"data.config of {CONFIG} is missing"
    if config.exists and (config.type, config.size) not in _VPG_KINDS:
        return f"data.config: there is no VPG of type {config.type!r} and size {config.size!r}"
    for item in config.oneOff:
        if item not in ONE_OFF_ITEMS:
            return f"data.config.oneOff: {item!r} is none of {', '.join(ONE_OFF_ITEMS)}"
    return ""


def _too_many(data: Data) -> str:
    if data.flagged > data.requests:
        return "data.flagged must not be more than data.requests"
    if data.delayUs is not None and data.requests != 1:
        return "data.delayUs belongs to one request"
    return ""
