"""What the API takes and gives, as closed structs: the source of the OpenAPI document.

Owns: names and bounds on the wire; names follow the provider's API where it has one. Does not own:
where the figures come from. Times on the wire are ISO 8601 with a zone, or Unix milliseconds in
``*Time`` and ``*At`` as the provider has them. Money is whole yen or micro-yen, never a fraction.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from vpg.rating import hourly
from vpg.rating.events import Small

PAGE: int = 100
PAGE_MAX: int = 1_000
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$")]
Limit = Annotated[int, Meta(ge=1, le=PAGE_MAX, description="Most rows of one page.")]
Key = Annotated[
    str,
    Meta(max_length=200, description="x-soracom-next-key of the page before; empty: the first."),
]
Format = Literal["", "json", "csv"]
Month = Annotated[str, Meta(pattern=r"^[0-9]{4}(0[1-9]|1[0-2])$")]
VpgType = Literal["C", "D", "E", "F", "F2", "G"]
VpgSize = Literal["small", "medium", "large", ""]
Status = Literal["ready", "active", "inactive", "standby", "suspended", "terminated"]
Instant = Annotated[dt.datetime, Meta(tz=True)]

HourlyShape = msgspec.defstruct(
    "HourlyRow",
    [(column.name, str if column.is_text else int) for column in hourly.COLUMNS],
    frozen=True,
    kw_only=True,
)
"""One row of the hourly metrics, columns as everywhere (docs/hourly.md)."""


class NoQuery(Struct, frozen=True, kw_only=True):
    """An operation without parameters."""


class Page(Struct, frozen=True, kw_only=True):
    """One page, as JSON or CSV."""

    limit: Limit = PAGE
    last_evaluated_key: Key = ""
    format: Format = ""


class HourlyQuery(Page, frozen=True, kw_only=True):
    """Which rows of the hourly metrics."""

    vpg_id: Annotated[str, Meta(max_length=64)] = ""
    from_: Annotated[Instant | None, Meta(description="Default: the running month's start.")] = (
        msgspec.field(default=None, name="from")
    )
    until: Annotated[Instant | None, Meta(description="Default: now.")] = None


class ChargesQuery(Page, frozen=True, kw_only=True):
    """Which month's charges."""

    month: Annotated[Month | None, Meta(description="yyyyMM; default: the running month.")] = None


class LinesQuery(Page, frozen=True, kw_only=True):
    """Which lines."""

    vpg_id: Annotated[str, Meta(max_length=64)] = ""


class DetachQuery(Struct, frozen=True, kw_only=True):
    """How a session ends."""

    lost: Annotated[bool, Meta(description="The device is gone without a word: a ghost.")] = False
    cut: Annotated[bool, Meta(description="The platform deletes the session or ghost.")] = False


class BillsQuery(Struct, frozen=True, kw_only=True):
    """Whose bills."""

    operator_id: Annotated[
        str, Meta(max_length=64, description="Default: every operator the token speaks for.")
    ] = ""


class BillQuery(BillsQuery, frozen=True, kw_only=True):
    """Whose bill, as JSON or CSV."""

    format: Format = ""


class ChargeShape(Struct, frozen=True, kw_only=True):
    """What one VPG owes for one bill item in one clock hour."""

    vpgId: str  # noqa: N815 - the wire's names, here and below
    hourStart: str  # noqa: N815
    billItemName: str  # noqa: N815
    quantity: int
    unitPriceMicroYen: int | None  # noqa: N815
    amountMicroYen: int | None  # noqa: N815


class CostShape(Struct, frozen=True, kw_only=True):
    """One line of a bill, tax excluded; ``null``: no price is known."""

    billItemCategory: str  # noqa: N815
    billItemName: str  # noqa: N815
    vpgId: str  # noqa: N815
    quantity: int
    unitPriceMicroYen: int | None  # noqa: N815
    amountMicroYen: int | None  # noqa: N815
    correctsMonth: str = ""  # noqa: N815
    """Rating month that this line corrects; empty: the bill's own."""


class BillShape(Struct, frozen=True, kw_only=True):
    """One rating month; ``closed``: nothing can change it any more."""

    operatorId: str  # noqa: N815
    yearMonth: str  # noqa: N815
    state: Literal["temporary", "closed"]
    currency: Literal["JPY"] = "JPY"
    amount: int
    """Whole yen, tax included."""
    taxExcludedAmount: int  # noqa: N815
    taxAmount: int  # noqa: N815
    complete: bool
    costBreakdownList: tuple[CostShape, ...] = ()  # noqa: N815


class BillList(Struct, frozen=True, kw_only=True):
    """Every month with hours, newest first, without its lines."""

    billList: tuple[BillShape, ...]  # noqa: N815


class SessionStatus(Struct, frozen=True, kw_only=True):
    """A line's session."""

    online: bool
    vpgId: str = ""  # noqa: N815
    createdTime: int | None = None  # noqa: N815
    ghost: bool = False


class LineShape(Struct, frozen=True, kw_only=True):
    """A SIM line."""

    simId: str  # noqa: N815
    imsi: str
    operatorId: str  # noqa: N815
    vpgId: str  # noqa: N815
    groupId: str  # noqa: N815
    status: Status
    address: str = ""
    sessionStatus: SessionStatus  # noqa: N815


class NewLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line to register."""

    simId: Name  # noqa: N815
    imsi: Annotated[str, Meta(pattern=r"^[0-9]{5,15}$")]
    operatorId: Name  # noqa: N815
    vpgId: Name  # noqa: N815
    groupId: Name  # noqa: N815
    status: Status = "active"
    address: Annotated[
        str, Meta(max_length=15, description="Source address 127.a.b.c, or empty.")
    ] = ""


class LineChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line's new status."""

    status: Status


class AttachShape(Struct, frozen=True, kw_only=True):
    """What an attach came to."""

    decision: Literal["created", "kept"]


class DetachShape(Struct, frozen=True, kw_only=True):
    """Whether there was a session."""

    ended: bool


class PeerShape(Struct, frozen=True, kw_only=True):
    """One destination of mirroring."""

    ipAddress: str  # noqa: N815
    protocol: Literal["gre"] = "gre"
    enabled: bool


class MirroringShape(Struct, frozen=True, kw_only=True):
    """Junction mirroring."""

    enabled: bool
    peers: dict[str, PeerShape]


class EnabledShape(Struct, frozen=True, kw_only=True):
    """A function that is on or off."""

    enabled: bool


class SessionStats(Struct, frozen=True, kw_only=True):
    """Sessions of a VPG, ghosts included."""

    online: int
    ghosts: int
    lastUpdatedAt: int  # noqa: N815


class VpgShape(Struct, frozen=True, kw_only=True):
    """A VPG as it is now, with its limits (``null``: none)."""

    vpgId: str  # noqa: N815
    operatorId: str  # noqa: N815
    type: VpgType
    size: VpgSize
    status: Literal["running", "terminated"]
    junctionEnabled: bool  # noqa: N815
    mirroring: MirroringShape
    redirection: EnabledShape
    inspection: EnabledShape
    fixedIpAddressesEnabled: bool  # noqa: N815
    fixedIpSets: int  # noqa: N815
    peeringConnections: int  # noqa: N815
    virtualInterfaces: int  # noqa: N815
    vpnConnections: int  # noqa: N815
    linesMax: int | None  # noqa: N815
    requestsPerSecondMax: int | None  # noqa: N815
    requestsLastSecond: int  # noqa: N815
    sessionStats: SessionStats  # noqa: N815


class NewVpg(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VPG to create."""

    vpgId: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]  # noqa: N815
    operatorId: Name  # noqa: N815
    type: VpgType
    size: VpgSize = ""
    peeringConnections: Small = 0  # noqa: N815
    virtualInterfaces: Small = 0  # noqa: N815
    vpnConnections: Small = 0  # noqa: N815
    fixedIpSets: Small = 0  # noqa: N815
    mirroring: bool = False
    redirection: bool = False
    inspection: bool = False


class VpgChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change; what is left out (or ``null``) stays. All of it, or nothing."""

    type: VpgType | None = None
    size: VpgSize | None = None
    peeringConnections: Small | None = None  # noqa: N815
    virtualInterfaces: Small | None = None  # noqa: N815
    vpnConnections: Small | None = None  # noqa: N815
    fixedIpSets: Small | None = None  # noqa: N815
    mirroring: bool | None = None
    redirection: bool | None = None
    inspection: bool | None = None


class Health(Struct, frozen=True, kw_only=True):
    """Whether the service works."""

    status: Literal["ok", "unready"]
    reason: str = ""
